"""A page to hear and see what augmentations do: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --line: #d8d8d8; --card: #fff; --page: #f5f5f4; --ink: #1c1c1c;
  --quiet: #606060; }
@media (prefers-color-scheme: dark) { :root { --line: #3a3a3a; --card: #1b1b1b; --page: #111;
  --ink: #ececec; --quiet: #a5a5a5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 16px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 8px 0; }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; }
p.quiet, figcaption { color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
code { font-size: .9em; overflow-wrap: anywhere; }
.original { position: sticky; top: 0; z-index: 1; display: flex; align-items: center; gap: 12px;
  margin: 12px -16px; padding: 8px 16px; background: var(--page);
  border-bottom: 1px solid var(--line); }
.original audio { flex: 1; margin: 0; }
section { margin: 16px 0; padding: 16px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.sides { display: grid; gap: 12px; margin-top: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 0; min-width: 0; }
img { display: block; width: 100%; height: auto; }
audio { display: block; width: 100%; height: 40px; margin: 12px 0 0; }
"""


class Entry(NamedTuple):
    """One augmentation on the page; without `wav` it is one of features, which has no sound."""

    name: str
    about: str
    parameters: str
    usage: str
    before: bytes  # WebP
    after: bytes
    wav: bytes | None


def listening_page(title: str, about: str, original: bytes, entries: Sequence[Entry]) -> str:
    """The page; `original` is the WAV of the recording before any change."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="quiet">{escape(about)}</p>
<div class="original"><span>Original</span>{_player("original", original)}</div>
{"".join(map(_section, entries))}</body>
</html>
"""


def _section(entry: Entry) -> str:
    sides = [
        f"<figure><figcaption>{side}</figcaption>"
        f'<img src="{_data_uri("image/webp", picture)}" width="720" height="500" '
        f'alt="{escape(entry.name)}: waveform and log-mel {side}"></figure>'
        for side, picture in (("before", entry.before), ("after", entry.after))
    ]
    sound = _player(entry.name, entry.wav) if entry.wav else ""
    if not entry.wav:
        sound = '<p class="quiet">Changes features, not sound: there is nothing to hear.</p>'
    return f"""<section id="{escape(entry.name)}">
<h2>{escape(entry.name)}</h2>
<p>{escape(entry.about)}</p>
<p class="quiet">{escape(entry.parameters)}</p>
<p class="quiet"><code>{escape(entry.usage)}</code></p>
<div class="sides">{"".join(sides)}</div>
{sound}
</section>
"""


def _player(name: str, wav: bytes) -> str:
    source = _data_uri("audio/wav", wav)
    return f'<audio controls preload="metadata" aria-label="{escape(name)}" src="{source}"></audio>'


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
