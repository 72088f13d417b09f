"""A thousand strings that a tokenizer may stumble over; the same ones every time."""

import random

# ruff: noqa: E501, SIM905
WORDS = (
    "a the photo of cat dog tow truck bird's don't we're I'LL they'd you've I'm red-tailed hawk's U.S.A. 3.14 1,000 "
    "2026 x86_64 night rain 50% $5 @home #tag C++ e-mail http://a.b/c?d=e&f=g snow blurry JPEG antidisestablishment "
    "supercalifragilisticexpialidocious owl, (owl) [owl] {owl} <owl> 'owl' \"owl\" … owl's' ''s 'S 'Re"
).split()
EMOJI = ["🦜", "👩‍👩‍👧", "⚽️", "🇩🇪", "👍🏽", "❤️", "🚗💨", "🏳️‍🌈", "☃", "™"]
SCRIPTS = [
    "红色汽车，停在路边。", "一只猫", "日本語のテキスト", "ｶﾀｶﾅ", "한국어 문장", "Привет, мир", "Ёжик", "γειά σου ΟΔΥΣΣΕΥΣ",
    "مرحبا بالعالم", "שלום", "नमस्ते दुनिया", "สวัสดี", "ქართული", "Հայերեն", "አማርኛ", "İstanbul IĞDIR ışık", "straße ẞ",
    "naïve café", "cafe\u0301 e\u0301tude", "Ångström A\u030a", "ﬁre ﬂy ﬀ", "Ⅷ ² ½ ৩ ①", "ＦＵＬＬ　ｗｉｄｔｈ", "ǅ ǆ ŉ ǰ",
    "Ꭰ ꭰ", "ᾳ ᾼ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐐀𐐨", "K Å Ω",
]  # fmt: skip
ENTITIES = [
    "Tom &amp; Jerry", "&lt;b&gt;bold&lt;/b&gt;", "&amp;amp;", "&amp;lt;", "&nbsp;x&nbsp;", "&#769;e", "e&#769;", "&#x1F600;",
    "&#39;s", "&quot;hi&quot;", "&notanentity;", "AT&T", "&", "&#", "&#0;", "&#xD800;", "&copy 2026", "caf&eacute;", "&hellip;",
]  # fmt: skip
MENDED = [
    "a bird’s nest", "“quoted” text", "‘single’", "ÃƒÂ©tÃ©", "schÃ¶n", "â€œhiâ€\x9d", "itâ€™s", "l’humanitÃ©", "Ã", "voilÃ  le travail",
    "\ufeffbom", "\ud800 lone", "\udc00", "x\x85y", "soft\u00adhyphen", "\u202emirrored", "\u2066isolate\u2069",
]  # fmt: skip
SPACES = [
    "", " ", "\t", "\n\n", " \r\n ", "a\tb\nc", "a\u3000b", "a\u00a0b", "a\u2028b\u2029c", "a\u200bb", "a\u200db", "a\u180eb",
    "  two  spaces  ", "a\x0bb\x0cc", "a\x1cb\x1dc", "a\u205fb\u202fc\u1680d",
]  # fmt: skip
CONTROLS = [
    "x\x00y\x07z",
    "\x1b[31mred\x1b[0m",
    "\x7f",
    "\x00",
    "\x9f",
    "tab\x08",
    "\ufffe",
    "\uffff",
    "\ufffd",
    "\U0010ffff",
    "\ue000",
]
SPECIAL = [
    "<|endoftext|>",
    "hi <|startoftext|> there",
    "<|ENDOFTEXT|>",
    "<|endoftext",
    "<|pad|>",
    "</w>",
    "a</w>b",
    "<unk>",
    "Ġ",
]
LONG = [
    "word " * 200, "cat," * 76, "cat " * 75, "cat " * 74, "cat " * 76, "cat " * 77, "a" * 500, "🦜" * 200, "猫" * 100, "9" * 300,
    "!" * 300, "don't " * 60, "&amp;" * 100, "owl’s " * 90, "<|endoftext|>" * 90,
]  # fmt: skip


def odd_strings() -> list[str]:
    """A thousand different ones: the lists above, then mixtures of them and of random characters."""
    pools = [WORDS, EMOJI, SCRIPTS, ENTITIES, MENDED, SPACES, CONTROLS]
    found = list(dict.fromkeys([*(s for pool in pools for s in pool), *SPECIAL, *LONG]))
    rng = random.Random(20)
    while len(found) < 1000:
        text = rng.choice([_mixture, _characters])(rng, pools)
        if text not in found:
            found.append(text)
    return found


def _mixture(rng: random.Random, pools: list[list[str]]) -> str:
    parts = [rng.choice(rng.choice(pools)) for _ in range(rng.randint(2, 12))]
    return rng.choice(["", " ", " ", "  ", "\t"]).join(parts)


def _characters(rng: random.Random, pools: list[list[str]]) -> str:
    del pools
    ranges = (
        (0x20, 0x7F),
        (0xA0, 0x250),
        (0x370, 0x52F),
        (0x2000, 0x2070),
        (0x2190, 0x27BF),
        (0x4E00, 0x9FA5),
        (0x1F300, 0x1F600),
    )
    few = rng.sample(ranges, rng.randint(1, 3))
    return "".join(chr(rng.randrange(*rng.choice(few))) for _ in range(rng.randint(1, 30)))
