"""What is computed for the page, against other ways to compute it; no browser needed."""

from __future__ import annotations

import html
import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

import src.report.audio
from src.metrics import word_errors
from src.report import write_report
from src.report.audio import sources
from src.report.calibration import calibration
from src.report.confusions import confusions
from src.report.rows import make_row
from src.utils.errors import UserError
from tests.report.records import many, record


def data_of(path: Path) -> dict:
    """What is between the tags, as an HTML parser would cut it."""
    page = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script', page)
    return json.loads(found[1])


def test_calibration_of_a_known_case():
    sure = [0.95] * 4 + [0.15] * 4
    found = calibration([make_row(record("a", "a b c d x y z w", "a b c e f y g h", sure))])
    # of the four at 0.95, three are right; of the four at 0.15, one
    assert found["bins"] == [pytest.approx([0.15, 0.25, 4]), pytest.approx([0.95, 0.75, 4])]
    assert found["error"] == pytest.approx((0.1 + 0.2) / 2)


def test_words_that_are_as_often_right_as_they_say_have_no_calibration_error():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(2000):
        sure = rng.random(10)
        heard = ["right" if rng.random() < chance else "wrong" for chance in sure]
        rows.append(make_row(record(str(number), "right " * 10, " ".join(heard), sure.tolist())))
    found = calibration(rows)
    assert sum(count for *_, count in found["bins"]) == 20_000
    assert found["error"] < 0.02
    edges = [record("edge", "a b", "a b", [0.0, 1.0])]
    assert calibration(map(make_row, edges))["bins"] == [[0, 1, 1], [1, 1, 1]]


def test_no_confidences_or_no_references_give_no_calibration():
    assert calibration([make_row(record("a", "a", "a"))]) is None
    assert calibration([make_row(record("a", None, "a", [0.5]))]) is None
    assert confusions([make_row(record("a", None, "a"))]) is None


def test_confusions_are_counted_and_ranked():
    pairs = [("the cat", "the hat")] * 3 + [("a cat", "a bat")] * 2 + [("oh no", "no")] * 2
    pairs += [("yes", "yes uh"), ("no", "uh no"), ("cat", "bat")]
    found = confusions(make_row(record(str(n), *pair)) for n, pair in enumerate(pairs))
    assert found == {
        "substitutions": [["cat", "bat", 3], ["cat", "hat", 3]],
        "deletions": [["oh", 2]],
        "insertions": [["uh", 2]],
    }


def test_the_page_has_the_edits_of_the_metrics(tmp_path):
    records = many(50)
    write_report(records, {}, tmp_path / "report.html", "t")
    for row, given in zip(data_of(tmp_path / "report.html")["rows"], records):
        counts = word_errors(given["reference"], given["text"])
        assert (
            Counter(row["ops"])
            == Counter(
                {"S": counts.substitutions, "D": counts.deletions, "I": counts.insertions}
                | {"=": counts.hits}
            )
            + Counter()
        )
        assert [sure for *_, sure in row["words"]] == [
            round(word["confidence"], 3) for word in given["words"]
        ]


def test_any_text_comes_back_as_it_was(tmp_path):
    rng = random.Random(0)
    pieces = ["</script>", "<!--", "]]>", "\u2028", '"', "\\", "&lt;", "$data", "é", "\udcff", "$$"]
    texts = ["".join(rng.choices(pieces, k=6)) for _ in range(50)]
    records = [record(text, text, text) for text in texts]
    write_report(records, {}, tmp_path / "report.html", "</title> $x")
    rows = data_of(tmp_path / "report.html")["rows"]
    assert [row["id"] for row in rows] == texts
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<title>{html.escape('</title> $x')}</title>" in page


def test_nothing_is_asked_of_the_network(tmp_path):
    write_report(many(3), {}, tmp_path / "report.html", "t")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"')]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<link|@import|url\(|\bsrc=\"", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "name", ["a b#1?.wav", 'it\'s "x".flac', "50%.mp3", "c:d.ogg", b"\xff.wav"]
)
def test_links_lead_from_the_report_to_the_recording(tmp_path, name):
    recording = Path(os.fsdecode(os.fsencode(tmp_path / "data") + b"/" + os.fsencode(name)))
    recording.parent.mkdir()
    try:
        recording.write_bytes(b"x")
    except OSError:
        pytest.skip(f"this file system has no file {name!r}")
    out = tmp_path / "saved" / "run"
    [link] = sources([str(recording)], out, "link")
    assert re.fullmatch(r"\.[A-Za-z0-9._~/%-]*", link)  # safe in any URL, never a scheme
    assert os.path.normpath(os.fsencode(out) + b"/" + unquote_to_bytes(link)) == os.fsencode(
        recording
    )


def test_what_is_not_there_has_no_player(tmp_path):
    assert sources([None, str(tmp_path / "gone.wav"), ""], tmp_path, "link") == [None] * 3


def test_too_much_audio_is_not_embedded(tmp_path, monkeypatch):
    monkeypatch.setattr(src.report.audio, "EMBEDDED_AT_MOST", 10)
    (tmp_path / "a.wav").write_bytes(bytes(11))
    records = [record("a", None, "a", path=str(tmp_path / "a.wav"))]
    with pytest.raises(UserError, match="too much to embed"):
        write_report(records, {}, tmp_path / "r.html", "t", audio="embed")
    with pytest.raises(UserError, match="link or embed"):
        write_report(records, {}, tmp_path / "r.html", "t", audio="copy")  # type: ignore[arg-type]


def test_a_record_may_be_incomplete_or_odd():
    row = make_row({"utterance_id": 7, "text": " a  b ", "confidence": float("nan"), "words": None})
    assert (row.utterance_id, row.text, row.confidence, row.duration) == ("7", "a b", None, None)
    other = record("x", None, "a b", [0.5, 1.0])
    assert make_row(other).confidence == 0.75  # the mean of its words
    assert make_row({**other, "confidence": 0.2}).confidence == 0.2
    assert make_row({**other, "text": "a c"}).words == []  # the words of another text


def test_a_page_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report([], {}, tmp_path / "file" / "report.html", "t")
