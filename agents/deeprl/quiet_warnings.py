"""No logs of Stable-Baselines3's own."""

from __future__ import annotations

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger


def silence(model: BaseAlgorithm) -> BaseAlgorithm:
    """Let the model log nowhere; by itself it makes an empty temporary folder for each training."""
    model.set_logger(Logger(None, []))
    return model
