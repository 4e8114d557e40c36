from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.datasets.row_table import RowTable

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "utterance_id": st.text(),
            "text": st.none() | st.text(),
            "duration": st.floats(0.01, 100),
            "packed": st.tuples(st.text(), st.integers()).map(list),
        }
    )
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.data())
def test_it_is_the_list_that_went_in(rows, data):
    table = RowTable(rows)
    assert table == rows
    assert len(table) == len(rows)
    assert table.durations.tolist() == [row["duration"] for row in rows]
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    kept = table.select(np.array(mask, dtype=bool))
    assert kept == [row for row, keep in zip(rows, mask) if keep]
    assert kept[::2] == list(kept)[::2]
    order = data.draw(st.permutations(range(len(rows))))
    assert table.select(order) == [rows[position] for position in order]
    assert pickle.loads(pickle.dumps(kept)) == kept
    assert kept.durations.tolist() == [row["duration"] for row in kept]


def test_no_row_beyond_the_end():
    table = RowTable([{"duration": 1.0, "text": "a"}])
    assert table[-1]["text"] == "a"
    with pytest.raises(IndexError):
        table[1]


def test_a_forked_process_reads_it_all_without_a_copy():
    """Private memory of the child, as Linux counts it: a list of these rows takes 30 MB."""
    smaps = Path("/proc/self/smaps_rollup")
    if not smaps.exists():
        pytest.skip("needs Linux's /proc/PID/smaps_rollup")
    table = RowTable({"text": f"{i} " * 40, "duration": 1.0, "path": f"/{i}"} for i in range(60000))

    def private_megabytes() -> float:
        lines = [line.split() for line in smaps.read_text().splitlines()]
        return sum(int(line[1]) for line in lines if line[0] == "Private_Dirty:") / 1024

    def child(pipe) -> None:
        before = private_megabytes()
        total = sum(len(row["text"]) for row in table)
        pipe.send((total, private_megabytes() - before))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(sender,))
    process.start()
    total, grown = receiver.recv()
    process.join()
    assert total == sum(40 * (len(str(i)) + 1) for i in range(60000))
    assert grown < 5
