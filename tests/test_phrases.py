"""Texts that remember how they were made."""

import numpy as np

from helpers.phrases import Said, for_terminal, say


def test_a_text_is_its_sentence_and_keeps_template_and_values():
    part = say("{network}, frozen", network="VGG16")
    said = say("{n} epochs, {share:.1%} {{of}} {who}; {all}.", n=3, share=np.float64(0.5), who=part, all=["a", part])
    assert said == "3 epochs, 50.0% {of} VGG16, frozen; a, VGG16, frozen."
    kept = {"phrase": ["{network}, frozen", {"network": "VGG16"}]}
    values = {"n": 3, "share": 0.5, "who": kept, "all": {"listed": ["a", kept]}}
    assert said.phrase == ["{n} epochs, {share:.1%} {{of}} {who}; {all}.", values]
    assert [type(value) for value in said.phrase[1].values()] == [int, float, dict, dict]
    assert isinstance(said, Said) and isinstance(said, str)
    assert say("Images in {name}, {n} epochs.", name="داده‌ها", n=4) == "Images in \u2068داده‌ها\u2069, 4 epochs."
    assert for_terminal("01_گربه زرد  ok 3, داده/گربه") == "\u206801_گربه زرد\u2069  ok 3, داده/گربه"
    assert say("{a:+.1f}, {b:.1f}, {name}", a=-1.25, b=-0.01, name="-5") == "−1.2, 0.0, -5"
