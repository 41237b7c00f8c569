"""A run's report as one HTML file that needs no network: curves, samples, data, recipe.

Knows the run's files and nothing of training.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from penstock.tracking.durable import write_durably

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem;
  min-width: 8rem; }
.tile b { display: block; font-size: 1.25rem; } .tile span, .soft { color: var(--soft); }
img { width: 100%; background: white; border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
blockquote { margin: .5rem 0; padding-left: .8rem; border-left: 3px solid var(--line);
  white-space: pre-wrap; }
"""


def write_report(
    path: Path,
    *,
    record: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    picture: Path,
    texts: Mapping[str, str],
) -> None:
    """Write the report; `texts` are further sections by their headings."""
    parts = [
        f"<h1>{escape(str(record['name']))}</h1>",
        f"<div class=soft>{escape(_subtitle(record))}</div>",
        _tiles(record, events),
        "<h2>Curves</h2>",
        _image(picture),
        _validations(events),
        _samples(events),
        *[f"<h2>{escape(head)}</h2><pre>{escape(text)}</pre>" for head, text in texts.items()],
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>{escape(str(record['name']))}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    write_durably(path, page)


def _subtitle(record: Mapping[str, Any]) -> str:
    base = record.get("base_model")
    return f"{record['method']} · {record['family']}{f' · from {base}' if base else ''}"


def _tiles(record: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    scores = [event for event in events if event["event"] == "score"]
    speeds = [e["tokens_per_second"] for e in events if e["event"] == "train"]
    best = record.get("best_loss")
    tiles = [
        ("status", str(record["status"])),
        ("steps", f"{record['step']:,} of {record['max_steps']:,}"),
        ("tokens seen", f"{record['tokens_seen']:,}"),
        ("best held-out loss, nats per token", "–" if best is None else f"{best:.3f}"),
        ("tokens per second", f"{sorted(speeds)[len(speeds) // 2]:,}" if speeds else "–"),
    ]
    if scores:
        tiles.append(
            ("held-out perplexity per token", f"{scores[-1]['perplexity_per_token']:,.2f}")
        )
        tiles.append(("held-out perplexity per word", f"{scores[-1]['perplexity_per_word']:,.1f}"))
    shown = [
        f'<div class="tile"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in tiles
    ]
    return f'<div class="tiles">{"".join(shown)}</div>'


def _image(picture: Path) -> str:
    if not picture.is_file():
        return '<p class="soft">Nothing was logged yet.</p>'
    encoded = base64.b64encode(picture.read_bytes()).decode()
    alt = "Loss, learning rate and gradient norm against tokens seen"
    return f'<img alt="{alt}" src="data:image/png;base64,{encoded}">'


def _validations(events: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td>{e['step']:,}</td><td>{e['tokens_seen']:,}</td><td>{e['loss']:.4f}</td></tr>"
        for e in events
        if e["event"] == "validation"
    ]
    if not rows:
        return ""
    head = "<tr><th>step</th><th>tokens seen</th><th>held-out loss (nats per token)</th></tr>"
    return f"<h2>Validation</h2><table>{head}{''.join(rows)}</table>"


def _samples(events: Sequence[Mapping[str, Any]]) -> str:
    samples = [event for event in events if event["event"] == "sample"]
    if not samples:
        return ""
    shown = [
        f'<div class="soft">step {e["step"]:,} · {escape(e["prompt"])}</div>'
        f"<blockquote>{escape(e['text'])}</blockquote>"
        for e in samples[-12:][::-1]
    ]
    return f"<h2>What it writes</h2>{''.join(shown)}"
