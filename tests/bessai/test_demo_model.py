import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from actors.dispatcher.prices import PriceSeries, read_prices
from actors.model_file import read_model
from bessai.demo_model import cut, fit, main, write_prices
from bessai.optimal_plan import PlannedBattery, best_shares, worth_of_charge

DEMO = Path(__file__).parents[2] / "config" / "demo"
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def prices_file(folder: Path, days: int) -> Path:
    daily = [20.0] * 8 + [120.0] * 8 + [60.0] * 8
    series = PriceSeries(start_wall_s=int(START.timestamp()), eur_mwh=tuple(daily * days))
    write_prices(series, folder / "prices.csv")
    return folder / "prices.csv"


def test_the_model_and_the_prices_of_the_demonstration_are_what_they_say() -> None:
    _, manifest = read_model(DEMO / "dispatch.onnx")
    prices = read_prices(DEMO / "prices.csv")
    ended = dt.datetime.fromisoformat(manifest.trained_to).timestamp()
    assert prices.start_wall_s >= ended, "the replayed prices lie outside the training span"
    assert len(prices.eur_mwh) == 28 * 24
    assert "SMARD.de" in manifest.source
    assert (DEMO / "dispatch.onnx").stat().st_size < 100_000


def test_prices_read_as_they_were_written(tmp_path: Path) -> None:
    series = read_prices(prices_file(tmp_path, 2))
    assert (series.start_wall_s, len(series.eur_mwh)) == (int(START.timestamp()), 48)


def test_the_plan_fills_up_before_dear_hours_and_sells_in_them() -> None:
    battery = PlannedBattery()
    prices = np.array([20.0] * 2 + [120.0] * 2)
    worth = worth_of_charge(prices, battery)
    empty, full = np.array([0.0]), np.array([1.0])
    assert best_shares(20.0, empty, worth[1], battery) == pytest.approx(1.0)
    assert best_shares(120.0, full, worth[3], battery) == pytest.approx(-1.0)


def test_the_plan_never_sells_what_is_not_there_nor_stores_what_does_not_fit() -> None:
    battery = PlannedBattery()
    worth = np.linspace(0.0, 500.0, 41)
    assert best_shares(1000.0, np.array([0.0]), worth, battery) == pytest.approx(0.0)
    assert best_shares(-1000.0, np.array([1.0]), worth, battery) == pytest.approx(0.0)


def test_a_spread_that_does_not_pay_for_wear_and_losses_is_left_alone() -> None:
    battery = PlannedBattery()
    prices = np.array([100.0, 105.0, 100.0])
    worth = worth_of_charge(prices, battery)
    assert worth[0][0] == pytest.approx(0.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_builder_writes_a_model_that_is_the_network_it_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bessai.demo_model.EPOCHS", 2)
    source = prices_file(tmp_path, 12)
    options = ["--train-to", "2024-01-09", "--replay-from", "2024-01-09", "--replay-days", "3"]
    assert main(["--prices", str(source), "--out", str(tmp_path / "out"), *options]) == 0
    model, manifest = read_model(tmp_path / "out" / "dispatch.onnx")
    assert manifest.sha256 in capsys.readouterr().out
    _assert_parity(model, read_prices(source), tmp_path)


def test_days_of_the_training_span_are_not_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = prices_file(tmp_path, 12)
    options = ["--train-to", "2024-01-09", "--replay-from", "2024-01-08", "--replay-days", "2"]
    with pytest.raises(SystemExit):
        main(["--prices", str(source), "--out", str(tmp_path / "out"), *options])
    assert "training span" in capsys.readouterr().err


def _assert_parity(model: bytes, series: PriceSeries, folder: Path) -> None:
    from actors.onnx_model import OnnxModel

    network = fit(cut(series, START, START + dt.timedelta(days=8)))
    rows = np.random.default_rng(2).normal(size=(500, 30)).astype(np.float32)
    expected = np.clip(network.predict(rows), -1, 1)
    served = OnnxModel(folder / "out" / "dispatch.onnx", kind="dispatch-policy").run(rows)[:, 0]
    assert np.abs(served - expected).max() < 1e-5
    assert model
