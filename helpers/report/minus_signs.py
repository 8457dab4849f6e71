"""Numbers in Markdown as tables have them: minus signs, and per-cent signs behind a space."""

import re

# First what stays as it is: code (fenced, indented, in a line), formulas, HTML, and the targets of links. Then the
# hyphens: after a letter, a digit or another sign they join words, parts of a name or the ends of a range.
_AS_TYPED_OR_NEGATIVE = re.compile(
    r"""
    (?P<typed>
      ^\ {0,3}(?P<fence>`{3,}|~{3,}).*?(?:^\ {0,3}(?P=fence)[`~]*\s*?$|\Z)
    | ^(?:\ {4}|\t)[^\n]*
    | (?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)
    | \$\$.*?\$\$ | (?<!\\)\$(?!\s)[^$]*(?<!\s)\$(?!\d)
    | \\\(.*?\\\) | \\\[.*?\\\] | \\begin\{(?P<name>[^}]*)\}.*?\\end\{(?P=name)\}
    | <(?P<tag>code|pre|kbd|samp|script|style|math)\b.*?</(?P=tag)> | <[A-Za-z/!?][^>]*>
    | \]\([^)]*\) | ^\ {0,3}\[[^\]]*\]:[^\n]* | \b\w+://\S+ | \bwww\.\S+
    )
    | (?<![^\s(\[{“‘"'*=≈<>≤≥±~→,;:|])-(?=\.?\d)
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
# What stays as it is (code, formulas, tags, addresses), or else a number's per-cent sign.
_TYPED_OR_PERCENT = re.compile(
    r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|\$[^$\n]+\$|<[^<>\n]*>|\]\([^()\n]*\)|https?://\S+|(?<=\d) ?%(?!\w)", re.DOTALL
)


def in_prose(markdown: str) -> str:
    """The text with minus signs, and with per-cent signs behind a space at which no line ends.

    So readings can be written with Python's own formats, such as ``f"{share:+.1%}"``, and look like prose and tables.
    """
    text = with_minus_signs(markdown)
    return _TYPED_OR_PERCENT.sub(lambda found: "\u00a0%" if found[0] in ("%", " %") else found[0], text)


def with_minus_signs(markdown: str) -> str:
    """The text with "−" in place of each hyphen that makes a number negative.

    Code, formulas, HTML tags and links stay as they are, and so does a hyphen inside a word ("conv2-1"), a range
    ("1-3") or an exponent ("1e-05").
    """
    return _AS_TYPED_OR_NEGATIVE.sub(lambda found: found[0] if found["typed"] is not None else "−", markdown)
