"""The trust layer: why a forecast says what it says. Each part is made from the stored forecast."""

from typing import Any

from accubooks.seasonal import PERIOD, Model

Z_80 = 1.2816  # eight of ten normal errors lie within so many standard deviations


def explanation(result: dict[str, Any]) -> dict[str, Any]:
    """The sum behind each number: level + trend + season, then the scenario's change in percent."""
    steps = []
    for ahead, month in enumerate(result["months"], start=1):
        step: dict[str, Any] = {"month": month["month"]}
        for side, model in _models(result).items():
            level, trend, season = model.parts(ahead)
            step[side] = {
                "level_cents": level,
                "trend_cents": trend,
                "season_cents": season,
                "change_percent": result["change_percent"][side],
                "result_cents": month[f"{side}_cents"],
            }
        steps.append(step)
    return {
        "method": "additive Holt-Winters, a season of twelve months",
        "rule": "level + trend + season, not below zero, then changed by the scenario's percent",
        "steps": steps,
    }


def assumptions(result: dict[str, Any]) -> dict[str, Any]:
    """What must hold for the forecast to hold, with the numbers that it was made with."""
    history, change = result["history"], result["change_percent"]
    texts = [
        f"The {history['months']} months from {history['first']} to {history['last']} are typical.",
        f"The pattern of a year repeats every {PERIOD} months.",
        "Only cash that was booked counts: open invoices and loans not yet paid out do not.",
    ]
    for side, model in _models(result).items():
        texts.append(
            f"The {side} goes on changing by {model.trend_cents} cents a month, "
            f"and the scenario changes it by {change[side]} percent."
        )
    return {"assumptions": texts, "history": history, "change_percent": change}


def confidence(result: dict[str, Any]) -> dict[str, Any]:
    """A score of 0 to 100 from the errors made on the past, and the range of 8 in 10 outcomes."""
    models = _models(result)
    score = max(0, round(100 - max(model.error_percent for model in models.values())))
    error = sum(model.error_cents**2 for model in models.values()) ** 0.5
    ranges = []
    for ahead, month in enumerate(result["months"], start=1):
        margin = round(Z_80 * error * ahead**0.5)
        net = month["net_cents"]
        ranges.append(
            {"month": month["month"], "low_cents": net - margin, "high_cents": net + margin}
        )
    label = "high" if score >= 90 else "medium" if score >= 70 else "low"
    return {"score": score, "label": label, "net_range_8_of_10": ranges}


def _models(result: dict[str, Any]) -> dict[str, Model]:
    return {side: Model(**fields) for side, fields in result["models"].items()}
