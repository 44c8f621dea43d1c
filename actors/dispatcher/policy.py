"""The learned policy: a small ONNX network that maps prices ahead, charge, limits and hour to a share of the power.

It raises `DoubtError` instead of answering whenever it should not be believed; the rules then decide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from actors.dispatcher.config import ModelPin
from actors.dispatcher.features import FEATURES, feature_row
from actors.dispatcher.situation import Decision, Policy, Situation, within_limits
from actors.onnx_model import ModelFailedError, ModelRefusedError, OnnxModel
from supervision.clock import Clock

DISPATCH: Final = "dispatch-policy"
"""`ModelManifest.kind` of the dispatcher's models."""

DEAD_BAND: Final = 0.05
"""Smaller shares of the rated power are not worth running the converter for."""


class DoubtError(Exception):
    """The model has no answer that may be believed; the message says why."""


class ONNXDispatcher:
    """Decides with a verified model: (1, features) in, a share of the rated power in [-1, 1] out, + charging."""

    def __init__(self, pin: ModelPin, *, budget_s: float, clock: Clock) -> None:
        """Load the model named by `pin`.

        Raises:
            ModelRefusedError: it is not that very model, or was made for other features.
        """
        self._model = OnnxModel(Path(pin.path), kind=DISPATCH, pinned_sha256=pin.sha256)
        if self._model.manifest.features != FEATURES or self._model.manifest.outputs != 1:
            raise ModelRefusedError(f"model {pin.path} was made for other features: build it again")
        self._budget_s = budget_s
        self._clock = clock

    def decide(self, situation: Situation) -> Decision:
        """Return the model's decision, within the battery's limits.

        Raises:
            DoubtError: an input is missing, or the answer is late, not finite or beyond [-1, 1].
        """
        row = _row(situation)
        started_s = self._clock.monotonic_s()
        try:
            share = float(self._model.run(np.array([row], dtype=np.float32))[0, 0])
        except ModelFailedError as error:
            raise DoubtError(str(error)) from error
        took_s = self._clock.monotonic_s() - started_s
        if took_s > self._budget_s:
            raise DoubtError(
                f"the model took {took_s * 1e3:.0f} ms, allowed {self._budget_s * 1e3:.0f}"
            )
        if abs(share) > 1:
            raise DoubtError(f"the model answered {share:.3g}: expected -1 to 1")
        return _decision(situation, share)


def _row(situation: Situation) -> list[float]:
    soc = situation.usable_soc
    if soc is None:
        raise DoubtError("the state of charge is not known")
    rated_w = situation.device.rated_power_w
    row = feature_row(
        situation.outlook,
        usable_soc=soc,
        charge_limit=situation.charge_limit_w / rated_w,
        discharge_limit=situation.discharge_limit_w / rated_w,
    )
    if row is None:
        raise DoubtError(f"only {len(situation.outlook.eur_mwh)} hours of prices are known")
    return row


def _decision(situation: Situation, share: float) -> Decision:
    wanted_w = 0.0 if abs(share) < DEAD_BAND else share * situation.device.rated_power_w
    power_w = within_limits(situation, wanted_w)
    price, *ahead = situation.outlook.eur_mwh
    verb = "charge" if power_w > 0 else "discharge" if power_w < 0 else "rest"
    reason = (
        f"{verb} at {price:.0f} EUR/MWh; the next {len(ahead)} h run from {min(ahead):.0f}"
        f" to {max(ahead):.0f}, charge {situation.soc_pct:.0f} %"
    )
    return Decision(policy=Policy.ONNX, power_w=power_w, reason=reason)


__all__ = ["DISPATCH", "DoubtError", "ModelRefusedError", "ONNXDispatcher"]
