"""Watches a model that has just taken over."""

import threading

from slimcast_edge.deploy.port import DeployOptions, Health, Host
from slimcast_edge.errors import ArtifactError, Refusal

_LOOK_EVERY_S = 0.05
_BUSY = 0.5
"""A model that computes for a smaller share of the time is not what holds the frames up."""
_LONGEST = 4
"""How many times as long a camera gets that gives too few frames; that is not the model's fault."""


def watch(host: Host, options: DeployOptions, *, stopped: threading.Event) -> ArtifactError | None:
    """Return None once the model has proved itself (or `stopped` is set), else what is wrong with it."""
    while not stopped.wait(_LOOK_EVERY_S):
        health = host.health()
        verdict = judge_health(health, options)
        if verdict is not None or _is_enough(health, options):
            return verdict
    return None


def judge_health(health: Health, options: DeployOptions) -> ArtifactError | None:
    """Return what is wrong with the model, None for nothing."""
    if health.errors >= options.probation_errors:
        return ArtifactError(
            Refusal.PROBATION_ERRORS, f"It failed on {health.errors} frames: {health.last_error}"
        )
    if health.seconds < options.probation_s:
        return None
    # The camera gave frames, and the model answered hardly any.
    if health.captured >= 2 * options.probation_frames and health.classified < options.probation_frames / 2:
        return ArtifactError(
            Refusal.PROBATION_ERRORS,
            f"It answered only {health.classified} of {health.captured} frames in {health.seconds:.0f} s.",
        )
    slower = health.before_latency_ms > 0 and health.latency_ms > 2 * health.before_latency_ms
    is_busy = health.fps * health.latency_ms / 1000 > _BUSY
    if slower and is_busy and health.fps < options.min_fps_ratio * health.before_fps:
        return ArtifactError(
            Refusal.TOO_SLOW,
            f"The frame rate fell from {health.before_fps:.1f} to {health.fps:.1f} a second, with "
            f"{health.latency_ms:.1f} ms for a frame instead of {health.before_latency_ms:.1f} ms.",
        )
    return None


def _is_enough(health: Health, options: DeployOptions) -> bool:
    if health.seconds < options.probation_s:
        return False
    if health.classified >= options.probation_frames:
        return True
    # Frames that have just been captured are on their way; a model that answers none of more is judged above.
    answers = health.classified > 0 or health.captured <= 2
    return answers and health.seconds >= _LONGEST * options.probation_s
