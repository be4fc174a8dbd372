"""Which score is which class: shown by the model's own labels, by what the user says, or by labelled rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Floats32
from freshet.models.model_error import ModelError

Labels = Mapping[Any, str] | str
"""Classes by label, or its text; or only the class that the second of two labels (1, True) stands for."""

_SURE: Final = 5.0  # standard errors: less than one in a million by chance
_FEW: Final = 10  # rows of a class that say nothing yet
_ANSWER = "say which class a label stands for: --label {} for each label"


class Column(int):
    """A column of scores that has no label but its number, which names no class by itself."""

    def __str__(self) -> str:
        return f"column {int(self)}"


class ClassOrder(NamedTuple):
    """For each class of the pipeline its column in the model's scores, None if it never saw that class; and why."""

    columns: tuple[int | None, ...]
    how: str


def class_order(
    labels: Sequence[Any],
    classes: Sequence[str],
    told: Labels | None = None,
    scores: Floats | Floats32 | None = None,
    truths: Sequence[str] | None = None,
) -> ClassOrder:
    """Find the order of the classes; nothing is assumed.

    `labels` are the model's in the order of its columns. A label stands for the class of the same text, unless `told`.
    Numbers that are no class's text need `told`, or `scores` (n, labels) of rows whose classes are known (`truths`,
    "" where not). Raises ModelError where that does not settle it, or where the labelled rows show the contrary.
    """
    texts = [text_of(label, classes) for label in labels]
    how = "its labels are the names of the classes"
    named = set(texts) <= set(classes)
    if told is not None and not (named and isinstance(told, str)):  # names need nobody to say which is the second
        texts, how = _as_told(labels, classes, told), "as --label says"
    elif not named and all(isinstance(label, int | float) for label in labels):
        texts = _shown_by_rows(texts, classes, scores, truths)
        how = "as the labelled rows of the sample show"
    if not set(texts) <= set(classes) or len(set(texts)) != len(texts):
        raise ModelError(
            "pack_classes",
            f"the model's labels are {_listed(labels)}, the pipeline's classes {_listed(classes)}: "
            f"{_ANSWER.format(f'{labels[0]}=CLASS')}.",
        )
    order = tuple(texts.index(name) if name in texts else None for name in classes)
    _check_rows(texts, scores, truths)
    pairs = ", ".join(f"{label} is {text}" for label, text in zip(labels, texts, strict=True))
    return ClassOrder(order, f"{how}: {pairs}")


def text_of(label: Any, classes: Sequence[str]) -> str:
    """The class that a label names by its text (1, 1.0 and "1" are one, and so are True and "true"), else its text."""
    text = label.decode() if isinstance(label, bytes) else str(label)
    forms = [text]
    if isinstance(label, bool):
        forms += [text.lower(), text.upper(), str(int(label))]
    elif isinstance(label, float) and label.is_integer():
        forms.append(str(int(label)))
    elif isinstance(label, int):
        forms.append(f"{text}.0")
    return next((form for form in forms if form in classes), text)


def in_order(scores: Floats, columns: Sequence[int | None]) -> Floats32:
    """The model's scores in the pipeline's order, float32; 0 for a class that it never saw."""
    ordered = [scores[:, at] if at is not None else np.zeros(len(scores)) for at in columns]
    return np.stack(ordered, axis=1).astype(np.float32)


def _as_told(labels: Sequence[Any], classes: Sequence[str], told: Labels) -> list[str]:
    if isinstance(told, str):
        if len(labels) != 2 or len(classes) != 2 or told not in classes:
            raise ModelError(
                "pack_classes",
                f"--label {told} names the class of the second of two labels; the labels are {_listed(labels)}, the "
                f"classes {_listed(classes)}: {_ANSWER.format('LABEL=CLASS')}.",
            )
        return [next(name for name in classes if name != told), told]
    told = {str(label): name for label, name in told.items()}
    keys = [str(int(label)) if isinstance(label, Column) else text_of(label, list(told)) for label in labels]
    strangers = [label for label in told if label not in keys]
    if strangers:
        raise ModelError(
            "pack_classes", f"the model has no label {_listed(strangers)}; its labels are {_listed(labels)}."
        )
    texts = [told.get(key) or text_of(label, classes) for key, label in zip(keys, labels, strict=True)]
    return _with_the_last(["" if text not in classes else text for text in texts], classes)


def _with_the_last(texts: list[str], classes: Sequence[str]) -> list[str]:
    """With the one class that is left over in the one place that is still empty."""
    left = [name for name in classes if name not in texts]
    if texts.count("") == 1 and len(left) == 1 and len(texts) == len(classes):
        texts[texts.index("")] = left[0]
    return texts


def _shown_by_rows(
    labels: Sequence[str], classes: Sequence[str], scores: Any, truths: Sequence[str] | None
) -> list[str]:
    """Classes of columns by the rows whose class is known: a column's scores are higher in its own class."""
    sure = (
        {}
        if scores is None or truths is None
        else {name: leans for name in classes if (leans := _leanings(scores, truths, name)) is not None}
    )
    texts = list(labels)
    for at in range(len(labels)):
        risen = [name for name, leans in sure.items() if leans[at] > _SURE]
        texts[at] = max(risen, key=lambda name: sure[name][at]) if risen else ""
    texts = _with_the_last(texts, classes)
    if "" in texts or len(set(texts)) != len(texts):
        example = f"{labels[-1].removeprefix('column ')}=CLASS"
        raise ModelError(
            "pack_classes",
            f"the model's labels are {_listed(labels)}, and nothing says which of the classes {_listed(classes)} each "
            f"stands for: {_ANSWER.format(example)}"
            + (f", or --label CLASS for what its second label ({labels[-1]}) means" if len(classes) == 2 else "")
            + "; or pack with a sample that has a column of labels.",
        )
    return texts


def _check_rows(texts: Sequence[str], scores: Any, truths: Sequence[str] | None) -> None:
    """Raise ModelError if labelled rows show a class's score to be lower in that class than elsewhere."""
    if scores is None or truths is None:
        return
    for at, name in enumerate(texts):
        leans = _leanings(scores, truths, name)
        if leans is not None and leans[at] < -_SURE:
            raise ModelError(
                "pack_classes",
                f"in the sample's rows of the class {name} the model's score for {name} is lower than in all others: "
                "its classes look swapped. Look at --label, at the order in which it was trained, and at the labels.",
            )


def _leanings(scores: Any, truths: Sequence[str], name: str) -> Floats | None:
    """How much higher each column is in the rows of this class than elsewhere, in standard errors; None if unknown."""
    marks = np.array(truths)
    known: Bools = (marks != "") & np.isfinite(scores).all(axis=1)
    mine = known & (marks == name)
    others = known & ~mine
    if min(mine.sum(), others.sum()) < _FEW:
        return None
    there, here = np.asarray(scores, np.float64)[others], np.asarray(scores, np.float64)[mine]
    spread = np.sqrt(here.var(axis=0) / len(here) + there.var(axis=0) / len(there))
    leanings: Floats = (here.mean(axis=0) - there.mean(axis=0)) / np.maximum(spread, 1e-9)
    return leanings


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names))
