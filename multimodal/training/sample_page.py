"""A page of queries and what was found for them, for the eye: one file, which needs nothing beside it."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

import numpy as np

from multimodal.training.captioned import Captioned
from multimodal.training.epochs import read_image
from multimodal.training.evaluation import Evaluation

SHOWN = 24  # queries
BEST = 6  # pictures of each
SIDE = 140  # pixels
WAYS = {"t2i": "words to pictures", "i2t": "picture to captions"}
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color-scheme: light dark; }
section { border-top: 1px solid #8884; padding: .8rem 0; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; width: 140px; }
img { width: 140px; height: 140px; object-fit: cover; border-radius: 6px; border: 3px solid transparent; }
.right img { border-color: #2a9d4a; } figcaption { font-size: 12px; opacity: .75; overflow-wrap: anywhere; }
td, th { padding: .2rem .8rem .2rem 0; text-align: right; } th:first-child, td:first-child { text-align: left; }
"""


def sample_page(evaluation: Evaluation, title: str) -> str:
    """HTML: the recall, and some captions, spread over all, with the pictures that are nearest to each; the right ones are framed."""
    cosines = evaluation.caption_vectors @ evaluation.picture_vectors.T
    places = np.unique(np.linspace(0, len(evaluation.captions) - 1, SHOWN).round().astype(int))
    sections = []
    for place in places:
        best = np.argsort(-cosines[place], kind="stable")[:BEST]
        figures = "".join(
            _figure(evaluation.pictures[row], float(cosines[place, row]), row == evaluation.owners[place]) for row in best.tolist()
        )
        sections.append(f"<section><p>{escape(evaluation.captions[place])}</p><div class='row'>{figures}</div></section>")
    names = list(next(iter(evaluation.recall.values())).as_dict())
    rows = "".join(
        f"<tr><td>{WAYS[way]}</td>{''.join(f'<td>{recall.as_dict()[name]:g}</td>' for name in names)}</tr>"
        for way, recall in evaluation.recall.items()
    )
    head = f"<tr><th></th>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1><table>{head}{rows}</table>{''.join(sections)}</html>"
    )


def _figure(picture: Captioned, cosine: float, right: bool) -> str:
    image = read_image(picture, SIDE)
    image.thumbnail((2 * SIDE, 2 * SIDE))
    file = BytesIO()
    image.save(file, "JPEG", quality=80)
    source = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    name = escape(picture.image.name)
    kind = " class='right'" if right else ""
    return f"<figure{kind}><img src='{source}' alt='{name}'><figcaption>{cosine:.2f} {name}</figcaption></figure>"
