"""Which features a model reads, and in which order: by the names that it remembers, never by their places."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from freshet.models.model_error import ModelError
from freshet.models.original import is_booster, last_step, parts_of

_SHOWN = 12


class Inputs(NamedTuple):
    """The features in the order of the model's columns, and a sentence on how that is known."""

    names: tuple[str, ...]
    how: str


def inputs_of(model: Any, width: int, features: Sequence[str], told: Sequence[str] | None) -> Inputs:
    """The features that the columns of a model stand for.

    `width` is the number of its columns, 0 if it does not say; `told` what the user says of them. Names that the model
    remembers decide, in any order. Only a model without names is taken by places: as told, or if it has as many columns
    as the pipeline has features. Raises ModelError if neither fits, or if name and word contradict each other.
    """
    if is_booster(model) or hasattr(model, "fit"):
        _check_categories(model)
    own = remembered(model)
    if told is not None:
        return Inputs(_as_told(told, own, width, features), "its columns are those of --columns")
    if own:
        return Inputs(_by_name(own, features), "its columns are known by the names that it remembers")
    if width not in {0, len(features)}:
        raise ModelError(
            "pack_input",
            f"it remembers no column names and was fitted on {width} features, but the pipeline has {len(features)}: "
            f"{_shown(features)}. Say which they are, in its order, with --columns a,b,c.",
        )
    return Inputs(
        tuple(features),
        f"it remembers no column names, so that its {len(features)} columns are taken for {_shown(features)}, in this "
        "order; if that is wrong, say --columns",
    )


def remembered(model: Any) -> tuple[str, ...]:
    """The column names that a model was fitted with; empty if it knows none but their places."""
    if is_booster(model):
        names = model.feature_name()
    else:
        first = getattr(model, "best_estimator_", model)
        names = getattr(first, "feature_names_in_", ())
        if not len(names) and hasattr(last_step(first), "booster_") and last_step(first) is first:
            names = first.booster_.feature_name()
    found = tuple(map(str, names))
    places = ("Column_{}", "f{}", "{}", "x{}")  # what libraries write where there are no names
    if any(found == tuple(form.format(at) for at in range(len(found))) for form in places):
        return ()
    return found


def _by_name(own: Sequence[str], features: Sequence[str]) -> tuple[str, ...]:
    """The features of these names. LightGBM writes `_` for a space."""
    known = {_plain(name): name for name in features} if len({*map(_plain, features)}) == len(features) else {}
    known |= {name: name for name in features}
    strangers = [name for name in own if name not in known and _plain(name) not in known]
    if strangers:
        near = dict.fromkeys(
            hint for name in strangers for hint in [*_begins(name, features), *get_close_matches(name, features, 1)]
        )
        hint = f" (did you mean {_shown([*near][:3])}?)" if near else ""
        raise ModelError(
            "pack_input",
            f"it was fitted on the columns {_shown(own)}; of these, the pipeline has no feature {_shown(strangers)}"
            f"{hint}. Train it on what `freshet pipeline features` writes, whose columns are the features of the "
            "pipeline; or, if its columns are features under other names, say which with --columns a,b,c in its order.",
        )
    names = tuple(known.get(name) or known[_plain(name)] for name in own)
    if len(set(names)) != len(names):
        raise ModelError("pack_input", f"it names a column twice: {_shown(own)}.")
    return names


def _as_told(told: Sequence[str], own: Sequence[str], width: int, features: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in told if name not in features]
    if unknown or len(set(told)) != len(told):
        raise ModelError(
            "pack_input",
            f"--columns must name features of the pipeline, each once; it has {_shown(features)}"
            + (f", but not {_shown(unknown)}." if unknown else "."),
        )
    if width not in {0, len(told)}:
        raise ModelError("pack_input", f"--columns names {len(told)} features, but it was fitted on {width}.")
    for name, said in zip(own, told, strict=False):
        if name in features and name != said:
            raise ModelError(
                "pack_input",
                f"it remembers its columns as {_shown(own)}, --columns says {_shown(told)}: leave --columns out.",
            )
    return tuple(told)


def _check_categories(model: Any) -> None:
    """Refuse LightGBM's pandas categories: the model reads their codes, which only its data frame knew."""
    for part in [model] if is_booster(model) else parts_of(model):
        booster = getattr(part, "_Booster", part)
        for categories in getattr(booster, "pandas_categorical", None) or ():
            if list(categories) != list(range(len(categories))):
                raise ModelError(
                    "pack_input",
                    f"LightGBM was fitted on a pandas column of categories ({_shown(map(str, categories))}), of which "
                    "it keeps codes only: fit it on numbers, as `freshet pipeline features` writes them.",
                )


def _begins(name: str, features: Sequence[str]) -> list[str]:
    return [feature for feature in features if feature.startswith((f"{name}=", f"{name}_"))][:1]


def _plain(name: str) -> str:
    return name.replace(" ", "_")


def _shown(names: Any) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
