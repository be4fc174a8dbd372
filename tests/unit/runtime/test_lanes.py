"""Two lanes of one pipeline on one cluster: whoever does not serve is not seen by those who read the answers."""

from dataclasses import replace

from support.loops import NAMES, Answerer, Stand


def test_a_shadow_answers_everything_and_no_reader_of_predictions_sees_it() -> None:
    """Both lanes read all of the input, in groups of their own, and neither fences the other."""
    serve = Stand()
    shadow = Stand(beside=serve, names=replace(NAMES, lane="shadow"))
    loops = [(serve, serve.loop(Answerer())), (shadow, shadow.loop(Answerer()))]
    serve.feed(5, 0)
    for _ in range(2):
        for stand, loop in loops:
            stand.turn(loop)
        serve.feed(3, 1)
    assert len(serve.read("predictions")) > 0
    assert serve.answers() == serve.inputs()[:8]
    assert shadow.answers() == serve.inputs()[:8]
    assert shadow.names.topic("predictions") != serve.names.topic("predictions")
