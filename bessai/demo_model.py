"""Builds what the demonstration dispatches with: a small ONNX model and a few weeks of real prices.

The model imitates the optimal plan (`bessai.optimal_plan`) on a training span of real day-ahead prices; the prices the
demonstration replays lie outside that span. Run it again with the same file and libraries to get the same model:

    python -m bessai.demo_model --prices de_lu_day_ahead.csv --out config/demo

The gateway never imports this module: it is given the model and its hash. The model shows the chain from prices to
set-points; no claim about profit is made for it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPRegressor

from actors.dispatcher.features import FEATURES, HOURS_AHEAD, feature_row
from actors.dispatcher.policy import DISPATCH
from actors.dispatcher.prices import HOUR_S, HOURS_A_DAY, PriceSeries, read_prices
from actors.model_file import ModelManifest, sha256_hex, write_atomically, write_model
from bessai.optimal_plan import PlannedBattery, best_shares, worth_of_charge

Rows = npt.NDArray[np.float64]

SOURCE: Final = (
    "Day-ahead prices DE-LU: Bundesnetzagentur / SMARD.de, energy-charts.info, CC BY 4.0"
)
SEED: Final = 20260101
LAYERS: Final = (64, 32)
EPOCHS: Final = 60
CHARGES_PER_HOUR: Final = 3
"""Random states of charge drawn for each hour and battery."""

BATTERIES: Final = (
    PlannedBattery(),
    PlannedBattery(charge_limit=0.5),
    PlannedBattery(discharge_limit=0.5),
)
"""The whole battery, and one that its own limits hold back in one direction."""


def training_rows(series: PriceSeries, battery: PlannedBattery) -> tuple[Rows, Rows]:
    """Return features and best shares for every hour of `series` that has a day of prices ahead."""
    random = np.random.default_rng(SEED)
    prices = np.array(series.eur_mwh)
    worth = worth_of_charge(prices, battery)
    features: list[list[float]] = []
    shares: list[float] = []
    for hour in range(len(prices) - HOURS_AHEAD):
        outlook = series.outlook(series.start_wall_s + hour * HOUR_S, HOURS_AHEAD)
        charges = random.uniform(0.0, 1.0, CHARGES_PER_HOUR)
        for charge in charges:
            row = feature_row(
                outlook,
                usable_soc=float(charge),
                charge_limit=battery.charge_limit,
                discharge_limit=battery.discharge_limit,
            )
            assert row is not None  # noqa: S101 - the loop ends where the prices do
            features.append(row)
        shares.extend(best_shares(prices[hour], charges, worth[hour + 1], battery))
    return np.array(features), np.array(shares)


def fit(series: PriceSeries) -> MLPRegressor:
    """Return a small network that imitates the optimal plan on `series`."""
    parts = [training_rows(series, battery) for battery in BATTERIES]
    options: dict[str, Any] = {  # a whole number is a valid batch_size, whatever its default
        "hidden_layer_sizes": LAYERS,
        "max_iter": EPOCHS,
        "n_iter_no_change": EPOCHS,
        "batch_size": 256,
        "random_state": SEED,
    }
    return MLPRegressor(**options).fit(
        np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    )


def export_network(network: MLPRegressor) -> bytes:
    """Return `network` as an ONNX model: (rows, features) -> (rows, 1), clipped to [-1, 1]."""
    nodes, weights, last = [], [], "row"
    count = len(network.coefs_)
    for layer, (matrix, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        names = [f"matrix{layer}", f"bias{layer}"]
        arrays = (matrix.astype(np.float32), bias.astype(np.float32))
        weights += [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
        nodes.append(helper.make_node("Gemm", [last, *names], [f"sum{layer}"]))
        last = f"sum{layer}"
        if layer < count - 1:
            nodes.append(helper.make_node("Relu", [last], [f"active{layer}"]))
            last = f"active{layer}"
    nodes.append(helper.make_node("Clip", [last, "low", "high"], ["share"]))
    for name, bound in (("low", -1.0), ("high", 1.0)):
        weights.append(numpy_helper.from_array(np.array(bound, dtype=np.float32), name))
    graph = helper.make_graph(
        nodes,
        "dispatch_policy",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [None, len(FEATURES)])],
        [helper.make_tensor_value_info("share", TensorProto.FLOAT, [None, 1])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def build_model(series: PriceSeries, path: Path) -> ModelManifest:
    """Train on `series`, write the model to `path` and its manifest beside it, and return the manifest."""
    model = export_network(fit(series))
    manifest = ModelManifest(
        kind=DISPATCH,
        sha256=sha256_hex(model),
        features=FEATURES,
        trained_from=_iso(series.start_wall_s),
        trained_to=_iso(series.start_wall_s + len(series.eur_mwh) * HOUR_S),
        training_rows=(len(series.eur_mwh) - HOURS_AHEAD) * CHARGES_PER_HOUR * len(BATTERIES),
        versions={
            "python": sys.version.split()[0],
            "scikit-learn": sklearn.__version__,
            "onnx": onnx.__version__,
            "numpy": np.__version__,
        },
        parameters={
            "battery_hours": BATTERIES[0].hours,
            "round_trip": BATTERIES[0].round_trip,
            "wear_eur_mwh": BATTERIES[0].wear_eur_mwh,
            "seed": float(SEED),
            "epochs": float(EPOCHS),
        },
        source=SOURCE,
    )
    write_model(path, model, manifest)
    return manifest


def cut(series: PriceSeries, first: dt.datetime, last: dt.datetime) -> PriceSeries:
    """Return the hours of `series` from `first` to before `last`.

    Raises:
        ValueError: the series does not reach so far.
    """
    start, end = (int(t.timestamp() - series.start_wall_s) // HOUR_S for t in (first, last))
    if not 0 <= start < end <= len(series.eur_mwh):
        raise ValueError(f"the prices do not span {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    return PriceSeries(
        start_wall_s=series.start_wall_s + start * HOUR_S, eur_mwh=series.eur_mwh[start:end]
    )


def write_prices(series: PriceSeries, path: Path) -> None:
    """Write `series` as the CSV file that the dispatcher reads, with its attribution."""
    lines = [
        f"# {SOURCE}",
        "# Real prices; outside the training span of dispatch.onnx. Hours are UTC, prices EUR/MWh.",
        "hour_utc,price_eur_mwh",
    ]
    for hour, price in enumerate(series.eur_mwh):
        lines.append(f"{_iso(series.start_wall_s + hour * HOUR_S)},{price:.2f}")
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    """Build model and prices as told on the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bessai.demo_model", description=__doc__)
    add: Any = parser.add_argument
    add("--prices", type=Path, required=True, help="CSV: hour_utc,price_eur_mwh; all spans")
    add("--out", type=Path, required=True, help="folder for dispatch.onnx, .json and prices.csv")
    add("--train-from", type=_day, default="2024-01-01", help="first day of training, UTC")
    add("--train-to", type=_day, default="2025-01-01", help="day after the last of training")
    add("--replay-from", type=_day, default="2025-06-02", help="first day of prices.csv")
    add("--replay-days", type=int, default=28)
    chosen = parser.parse_args(arguments)
    replay_to = chosen.replay_from + dt.timedelta(hours=chosen.replay_days * HOURS_A_DAY)
    if chosen.replay_from < chosen.train_to and replay_to > chosen.train_from:
        parser.error("the replayed days lie in the training span: choose others")
    series = read_prices(chosen.prices)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_prices(cut(series, chosen.replay_from, replay_to), chosen.out / "prices.csv")
    training = cut(series, chosen.train_from, chosen.train_to)
    manifest = build_model(training, chosen.out / "dispatch.onnx")
    sys.stdout.write(f"{chosen.out / 'dispatch.onnx'}  sha256 {manifest.sha256}\n")
    return 0


def _day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def _iso(wall_s: int) -> str:
    return dt.datetime.fromtimestamp(wall_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    raise SystemExit(main())
