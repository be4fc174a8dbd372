"""`make models` loses no measurement where a library is absent."""

from bench.model_table import BEGIN, END, KEPT, NOT_RUN, Row, written

NEW: list[Row] = [("forest", "2e-07", "0e+00"), ("XGBoost", NOT_RUN, NOT_RUN), ("PyTorch", "float32 only", NOT_RUN)]
FIRST: list[Row] = [
    ("forest", "1e-07", "1e-07"),
    ("XGBoost", "3e-07", "refused: too far"),
    ("PyTorch", "float32 only", "4e-07"),
]
PAGE = f"before\n{BEGIN}\n{END}\nafter\n"


def test_what_was_not_run_keeps_what_was_measured_before() -> None:
    """It says so, once however often; what was run is written anew."""
    kept = written(written(PAGE, FIRST), NEW)
    assert kept == written(kept, NEW)
    assert kept == "\n".join(
        [
            "before",
            BEGIN,
            "| model | trained on float64 | trained on float32 |",
            "|---|---|---|",
            "| forest | 2e-07 | 0e+00 |",
            f"| XGBoost | 3e-07{KEPT} | refused: too far{KEPT} |",
            f"| PyTorch | float32 only | 4e-07{KEPT} |",
            END,
            "after\n",
        ]
    )
    assert written(kept, FIRST) == written(PAGE, FIRST)


def test_what_was_never_measured_says_that_it_was_not_run() -> None:
    """As does a kind that the page does not have yet."""
    page = written(PAGE, NEW)
    assert page == written(page, NEW)
    assert f"| XGBoost | {NOT_RUN} | {NOT_RUN} |" in page
    assert KEPT not in page
