"""Zips and tars: read as they stand, and refused where they would do harm."""

import io
import tarfile
import zipfile

import pytest
from own_images import heard, pack, simple
from PIL import Image

from ssgan.data import archives
from ssgan.data.image_files import find
from ssgan.data.image_reader import Reader
from ssgan.data.own_data import load
from ssgan.errors import Mistake


def tar(folder, path, mode):
    with tarfile.open(path, mode) as archive:
        archive.add(folder, "photos")
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_archive_holds_what_its_folder_holds(kind, tmp_path, cache):
    folder = simple(tmp_path / "photos")
    path = tmp_path / f"photos.{kind}"
    pack(folder, path) if kind == "zip" else tar(folder, path, f"w:{kind.partition('.')[2]}")
    packed, plain = (load(f"folder:{place}", heard()[0]) for place in (path, folder))
    assert packed.sha256 == plain.sha256 and packed.classes == ("left", "right")
    again = load(f"folder:{path}", heard()[0])
    assert again.sha256 == plain.sha256
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cache", "photos", path.name], "nothing is unpacked"


def test_a_tar_made_anew_with_the_same_names_sizes_and_times_is_read_anew(tmp_path, cache):
    path, seen = tmp_path / "photos.tar", []
    for value in (60, 200):
        with tarfile.open(path, "w") as archive:
            for number in range(8):
                content = io.BytesIO()
                Image.new("L", (8, 8), value + number).save(content, "BMP")
                about = tarfile.TarInfo(f"labelled/{'ab'[number % 2]}/{number}.bmp")  # of the time 0
                about.size = len(content.getvalue())
                archive.addfile(about, io.BytesIO(content.getvalue()))
        seen.append(load(f"folder:{path}", heard()[0]).train.pixels.max().item())
    assert seen == [67, 207]


def test_names_in_utf_8_of_a_zip_that_does_not_say_so_are_read_as_such(tmp_path, cache):
    path = tmp_path / "photos.zip"
    content = io.BytesIO()
    Image.new("L", (8, 8), 9).save(content, "PNG")
    zipped(path, {f"{name}/{number}.png": content.getvalue() for number, name in enumerate(("\u00c4pfel", "Birnen") * 3)})
    written = bytearray(path.read_bytes())
    for head, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # where the flags lie
        place = written.find(head)
        while place >= 0:
            written[place + at + 1] &= ~0x08  # bit 11
            place = written.find(head, place + 4)
    path.write_bytes(written)
    assert "\u00c4pfel" not in zipfile.ZipFile(path).namelist()[0]
    assert load(f"folder:{path}", heard()[0]).classes == ("Birnen", "\u00c4pfel")


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/etc/out.png", "..\\out.png", "C:\\out.png"])
def test_a_name_that_leads_out_is_refused(name, tmp_path, cache):
    path = zipped(tmp_path / "x.zip", {"labelled/a/1.png": b"", name: b"evil"})
    with pytest.raises(Mistake, match="would lie outside"):
        load(f"folder:{path}", heard()[0])
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(Mistake, match="would lie outside"):
        load(f"folder:{tmp_path / 'x.tar'}", heard()[0])
    assert not cache.exists()


def test_a_bomb_is_refused_by_its_size_and_by_its_ratio(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", {f"labelled/a/{number}.png": bytes(100_000) for number in range(30)})
    monkeypatch.setattr(archives, "RATIO_FROM", 1_000_000)
    with pytest.raises(Mistake, match="would unpack to .* bytes or more"):
        load(f"folder:{path}", heard()[0])
    monkeypatch.setattr(archives, "RATIO_FROM", 2**30)
    monkeypatch.setattr(archives, "MOST_BYTES", 500_000)
    with pytest.raises(Mistake, match="would unpack to 600,000 bytes or more"):
        load(f"folder:{path}", heard()[0])


def test_a_tar_that_unpacks_to_too_much_is_refused_before_it_is_read_whole(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = 400_000
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    monkeypatch.setattr(archives, "MOST_BYTES", 500_000)
    with pytest.raises(Mistake, match="would unpack to 800,000 bytes"):
        load(f"folder:{tmp_path / 'x.tar.gz'}", heard()[0])


def test_a_member_that_is_too_large_is_a_broken_image(tmp_path, monkeypatch, cache):
    path = pack(simple(tmp_path / "photos"), tmp_path / "x.zip")
    monkeypatch.setattr(archives, "MOST_OF_ONE", 10)
    with pytest.raises(Mistake, match=r"12 images, .*it has more than 0 MiB"):
        load(f"folder:{path}", heard()[0])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("labelled/a/1.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(Mistake, match="is a link|neither a file nor a folder"):
        load(f"folder:{tmp_path / 'x.tar'}", heard()[0])


def test_a_link_and_a_password_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("labelled/a/1.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Mistake, match="1.png is a link"):
        load(f"folder:{tmp_path / 'x.zip'}", heard()[0])
    path = zipped(tmp_path / "y.zip", {"labelled/a/1.png": b"x"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(Mistake, match="locked with a password"):
        load(f"folder:{path}", heard()[0])


def test_a_damaged_archive_is_a_mistake_and_a_damaged_member_a_broken_image(tmp_path, cache):
    path = pack(simple(tmp_path / "photos"), tmp_path / "x.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Mistake, match="neither a folder nor a zip nor a tar|cannot be read as a zip"):
        load(f"folder:{path}", heard()[0])
    place = whole.index(b"unlabelled/100.png") + 60
    path.write_bytes(whole[:place] + bytes(20) + whole[place + 20:])
    reading, said = heard()
    assert len(load(f"folder:{path}", reading).train) == 21
    assert "cannot be decoded: 1 image, unlabelled/100.png" in said.text
    gz = tar(tmp_path / "photos", tmp_path / "x.tar.gz", "w:gz")
    gz.write_bytes(gz.read_bytes()[:-500])
    with pytest.raises(Mistake, match="cannot be read as a zip or a tar"):
        load(f"folder:{gz}", heard()[0])


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_predict_reads_the_images_in_an_archive(kind, tmp_path):
    folder = simple(tmp_path / "photos")
    path = tmp_path / f"x.{kind}"
    pack(folder, path) if kind == "zip" else tar(folder, path, f"w:{kind.partition('.')[2]}")
    reader = Reader((1, 12, 12), print)
    inside = {member.name: reader.read(member)[1] for member in find([str(path)], [])}
    assert len(inside) == 22
    for file in find([str(folder)], []):
        assert (inside[file.name] == reader.read(file)[1]).all()


def test_predict_says_of_an_archive_what_is_wrong_with_it(tmp_path):
    evil, empty = zipped(tmp_path / "x.zip", {"../1.png": b""}), zipped(tmp_path / "y.zip", {"a.txt": b""})
    broken = zipped(tmp_path / "z.zip", {"1.png": b"broken"})
    (tmp_path / "w.zip").write_bytes(b"no zip")
    found = list(find([str(evil), str(empty)], []))
    assert "would lie outside" in found[0].reason and "no image in this archive" in found[1].reason
    reader = Reader((1, 12, 12), print)
    for member in find([str(broken)], []):
        assert str(member) == f"{broken}/1.png" and reader.read(member).reason == "it is no image"
    file, = find([str(tmp_path / "w.zip")], [])
    assert reader.read(file).reason == "it is no image"
