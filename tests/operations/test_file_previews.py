"""The tab with the artifacts shows what a job wrote, and nothing in it can act."""

import base64
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from operations import artifacts
from operations.models import Artifact
from operations.presentation import file_previews
from operations.stores.local_disk import path_of
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x06\0\0\0"


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe" + struct.pack(">H", 65_535) + bytes(65_533)  # longer than what is read at first
    return (
        b"\xff\xd8" + comment + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    )


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


PNG = png(640, 480) + bytes(range(256))


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def stored(files: dict[str, bytes]) -> list[Artifact]:
    operation = OperationFactory()
    return [
        Artifact.objects.create(
            operation=operation, role=Artifact.Role.OUTPUT, name=name, file=artifacts.put([content])
        )
        for name, content in files.items()
    ]


def preview(name: str, content: bytes) -> file_previews.FilePreview | None:
    shown = file_previews.previews(stored({name: content}))
    return shown[0] if shown else None


def test_a_picture_is_known_by_its_content() -> None:
    shown = preview("plot.dat", PNG)
    assert shown is not None
    assert (shown.kind, shown.content) == (
        "picture",
        f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
    )
    assert preview("plot.png", b"<svg onload=alert(1)>") is None
    assert preview("plot.png", PNG + bytes(file_previews.MAX_PICTURE_BYTES)) is None


@pytest.mark.parametrize("picture", [png, jpeg, gif])
def test_a_picture_with_too_many_pixels_is_not_shown(picture: Callable[[int, int], bytes]) -> None:
    side = math.isqrt(file_previews.MAX_PIXELS)
    assert preview("plot", picture(side, side)) is not None
    assert preview("plot", picture(side, side + 1)) is None
    assert preview("plot", picture(0, 10)) is None


@given(
    start=st.sampled_from(list(file_previews.PICTURES)), rest=st.binary(max_size=200), cut=st.integers(0, 60)
)
def test_a_broken_picture_is_never_an_error(start: bytes, rest: bytes, cut: int) -> None:
    file_previews._picture("plot", "png", start + rest)
    for whole in (png(9, 9), jpeg(9, 9)[-30:], gif(9, 9)):
        file_previews._picture("plot", "png", start + whole[: cut - 60] + rest)


def test_the_pictures_of_a_page_have_a_limit_together() -> None:
    size = file_previews.MAX_PICTURE_BYTES - 1
    count = file_previews.MAX_PICTURES_BYTES // size
    files = {
        f"{number}.png": PNG + bytes([number]) + bytes(size - len(PNG) - 1) for number in range(count + 2)
    }
    assert len(file_previews.previews(stored(files))) == count


@pytest.mark.parametrize(
    ("content", "rows", "is_cut"),
    [
        (b"a,b\n1,2\n", (("a", "b"), ("1", "2")), False),
        (b'a,b\n"x,y"\n\n1,2,3\n', (("a", "b", ""), ("x,y", "", ""), ("1", "2", "3")), False),
        (b"", (), False),
        (b"a\n\xff\x1b[31m\n", (("a",), ("\N{REPLACEMENT CHARACTER}\\x1b[31m",)), False),
        (b'"' + b"x" * 140_000, (), True),
    ],
)
def test_a_table_shows_its_first_rows(
    content: bytes, rows: tuple[tuple[str, ...], ...], is_cut: bool
) -> None:
    shown = preview("table.csv", content)
    assert shown is not None
    assert (shown.kind, shown.rows, shown.is_cut) == ("table", rows, is_cut)


def test_a_long_and_wide_table_is_cut_and_says_so() -> None:
    line = ",".join(["y" * 101] * 25)
    shown = preview("table.csv", "\n".join([line] * 100).encode())
    assert shown is not None
    assert shown.is_cut
    assert len(shown.rows) == file_previews.MAX_ROWS + 1
    assert {len(row) for row in shown.rows} == {file_previews.MAX_COLUMNS}
    assert {len(cell) for row in shown.rows for cell in row} == {file_previews.MAX_CELL}


def test_files_that_are_gone_binary_or_of_another_kind_have_no_preview() -> None:
    assert preview("model.bin", b"text") is None
    assert preview("notes.txt", b"\0\1") is None
    (gone,) = stored({"gone.txt": b"text that is gone"})
    path_of(gone.file_id).unlink()
    assert file_previews.previews([gone]) == []


def test_the_page_shows_them_and_html_cannot_act(browser: Client) -> None:
    html = (
        b"<h3 style='color:red' onclick=a()>Title</h3><script>a()</script><img src=//x.example/a>"
        b'<a href="javascript:a()">x</a><iframe src="//x.example"></iframe><form action=/operations><button>'
    )
    files = stored(
        {"plot.png": PNG, "table.csv": b"a\n<b>1</b>\n", "report.html": html, "n.txt": b"<i>text</i>"}
    )
    page = browser.get(f"/dashboard/operations/{files[0].operation_id}?tab=artifacts").content.decode()
    shown = page.split('<div class="document">')[1].split("</div>")[0]
    assert shown == '<h3>Title</h3><a rel="noopener noreferrer nofollow">x</a>'
    assert "&lt;b&gt;1&lt;/b&gt;" in page
    assert "&lt;i&gt;text&lt;/i&gt;" in page
    assert 'src="data:image/png;base64,' in page
