"""Hyphens that make a number negative, and all the others."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.report.minus_signs import with_minus_signs

KEPT = (
    "1-3",
    "pages 10-12, 2024-01-02",
    "1e-05 and 2.5E-3",
    "conv2-1, ResNet-50, x-5, a_-5",
    "`x = -5` and ``a ` -5``",
    "```\nx = -5\n```",
    "~~~python\nx = -5",
    "text\n\n    x = -5\n\n\t-5",
    "$-5$ and $$x = -5$$ and \\(-5\\) and \\[ -5 \\]",
    "\\begin{align}\nx = -5\n\\end{align}",
    "[a link](https://example.org/?a=-5) and [other](-5.png)",
    "[id]: -5.html",
    "https://example.org/?a=-5",
    "<https://example.org/?a=-5> and <img width='-5'>",
    "<pre>x = -5</pre> and <code>-5</code>",
    "&#45;5 and \\-5",
    "- 5 items\n- 6",
    "--5, -- 5, a---5",
    "5%-6%",
    "(1)-2",
)
CHANGED = {
    "-28.7 points": "−28.7 points",
    "by -0.5, and (-1) “-2” **-3** -.5": "by −0.5, and (−1) “−2” **−3** −.5",
    "from -1-3 to -2": "from −1-3 to −2",
    "loss=-1e-05": "loss=−1e-05",
    "| -1 |-2|": "| −1 |−2|",
    "`a`, -1 and `b`": "`a`, −1 and `b`",
    "it costs US$5, -3 less than $8": "it costs US$5, −3 less than $8",
    "if x <-5 or y >-6": "if x <−5 or y >−6",
    "line\n-5 more": "line\n−5 more",
}
PIECES = st.sampled_from(
    [
        "-5",
        " -5",
        "-",
        " ",
        "a",
        "1",
        "`",
        "```",
        "\n",
        "$",
        "<",
        ">",
        "(",
        ")",
        "[",
        "]",
        "](",
        "*",
        "&#45;",
        "    ",
        "$$",
        "~~~",
    ]
)


@pytest.mark.parametrize("text", KEPT)
def test_code_links_formulas_words_and_ranges_stay(text):
    assert with_minus_signs(text) == text


@pytest.mark.parametrize(("text", "expected"), CHANGED.items())
def test_negative_numbers_get_the_sign(text, expected):
    assert with_minus_signs(text) == expected


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(max_size=40)))
@example("```" * 10 + "-5")
def test_nothing_else_changes_and_a_second_time_changes_nothing(text):
    made = with_minus_signs(text)
    assert len(made) == len(text)
    for i, (old, new) in enumerate(zip(text, made, strict=True)):
        if old != new:
            assert (old, new) == ("-", "−") and (made[i + 1] == "." or made[i + 1].isdecimal())
            assert i == 0 or not (text[i - 1].isalnum() or text[i - 1] in "-_`%)]")
    assert with_minus_signs(made) == made


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.sampled_from(["{:+.1f}", "{:,.2f}", "{:.1%}", "{:g}"]))
def test_every_formatted_number_in_a_sentence_is_written_as_in_tables(value, form):
    number = form.format(value)
    sentence = with_minus_signs(f"It changes by {number} points ({number}), **{number}**.")
    assert sentence.count("−") == (3 if number.startswith("-") else 0)
    assert number.startswith("-") == (number not in sentence)


@settings(max_examples=100, deadline=None)
@given(st.text(string.ascii_letters + string.digits, min_size=1), st.integers(0, 999))
def test_every_name_with_a_hyphen_and_a_number_stays(name, number):
    text = f"The layer {name}-{number} and its code `{name} = -{number}`."
    assert with_minus_signs(text) == text


def test_long_texts_take_no_time():
    for start in ("`" * 3000, "$" * 3000, "[" * 3000, "<a" * 3000, "\\(" * 1500, "](" * 3000):
        with_minus_signs(start + " -5 " * 100)
