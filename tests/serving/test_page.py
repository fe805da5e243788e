"""The page in a real Chromium: photographs, a camera, a film, the keyboard, a phone, the dark."""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from PIL import Image

import fercli
from tests.helpers.prediction import EMOTIONS, picture
from tests.helpers.serving import DETECTOR, running

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("FERCLI_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; FERCLI_CHROMIUM may name it"),
]
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
SIZE = {"height": 240, "width": 320}
WAIT = 30_000
REFUSED = "the server responded with a status of 400"
"""Chromium's line for a picture that the server cannot read."""
ACTIVE = "document.activeElement.matches('button, summary') ? document.activeElement.textContent : ''"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with marks that the detector of the tests finds: two photographs, a film, and one as a camera's."""
    home = tmp_path_factory.mktemp("files")
    Image.fromarray(picture(20, 90)).save(home / "two.png")
    Image.fromarray(picture()).save(home / "none.png")
    (home / "text.jpg").write_text("no picture")
    frames = [picture(40, 200, **SIZE)] * 20
    film = cv2.VideoWriter(str(home / "film.webm"), cv2.VideoWriter.fourcc(*"VP80"), 10, (320, 240))
    with (home / "camera.mjpeg").open("wb") as camera:
        for frame in frames:
            film.write(frame[..., ::-1])
            camera.write(bytes(cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]))
    film.release()
    return home


@pytest.fixture(scope="module")
def browser(files: Path) -> Iterator[Any]:
    arguments = [*ARGUMENTS.split(), f"--use-file-for-fake-video-capture={files / 'camera.mjpeg'}"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(model: Path) -> Iterator[str]:
    with running(model) as url:
        yield url


@pytest.fixture
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, opened; a message on the console, or a request to elsewhere, fails the test."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.set_default_timeout(WAIT)
    said: list[str] = []
    page.on("console", lambda message: REFUSED in message.text or said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith((address, "blob:")) or said.append(asked.url))
    page.on("filechooser", lambda _: None)  # from now on: Playwright begins to listen some time after it is asked to
    page.goto(address)
    yield page
    context.close()
    assert said == []


def expect(locator: Any) -> Any:
    return playwright.expect(locator)


def drop(page: Any, path: Path, kind: str) -> None:
    """Drop a file onto the page, as a mouse does."""
    transfer = page.evaluate_handle(
        """([bytes, name, type]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
            return transfer;
        }""",
        [list(path.read_bytes()), path.name, kind],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def saved(page: Any) -> str:
    """Press the button for the table, and return what was saved."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    return Path(download.value.path()).read_text("utf-8")


def test_a_photograph_is_dropped(page: Any, model: Path, files: Path, tmp_path: Path) -> None:
    drop(page, files / "two.png", "image/png")
    faces = fercli.load(model).predict(files / "two.png", detector=DETECTOR)
    for number, face in enumerate(faces, 1):
        text = f"Face {number}: {face.emotion} {100 * face.probabilities[face.emotion]:.1f} %"
        expect(page.get_by_role("heading", name=text)).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("status")).to_contain_text("two.png: 2 faces")
    assert page.locator(".face").first.locator("li").all_text_contents() == [
        f"{emotion}{100 * faces[0].probabilities[emotion]:.1f} %" for emotion in EMOTIONS
    ]
    fercli.predict(model, files / "two.png", detector=DETECTOR, csv=tmp_path / "expected.csv")
    expected = (tmp_path / "expected.csv").read_text("utf-8")
    assert saved(page) == expected.replace(str(files / "two.png"), "two.png")


def test_the_evidence_on_demand(page: Any, files: Path) -> None:
    page.set_input_files("#files", files / "two.png")
    page.get_by_role("button", name="Show the evidence for").nth(1).click()
    heat = page.get_by_role("img", name="Face 2, brighter where the evidence for")
    expect(heat).to_be_visible(timeout=WAIT)
    page.get_by_label("Emotion of face 2 to show the evidence for").select_option("sad")
    expect(page.get_by_role("img", name="evidence for sad")).to_be_visible(timeout=WAIT)


def test_the_keyboard_alone(page: Any, files: Path) -> None:
    def reach(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if name in page.evaluate(ACTIVE):
                return
        raise AssertionError(f"{name} cannot be reached")

    reach("Choose files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "two.png")
    expect(page.get_by_role("heading", name="Face 2")).to_be_visible(timeout=WAIT)
    reach("Show the evidence for")
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="evidence for")).to_be_visible(timeout=WAIT)
    reach("Clear")
    page.keyboard.press("Space")
    expect(page.locator("article")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "choose"
    reach("About this model")
    page.keyboard.press("Enter")
    expect(page.locator("#card").get_by_role("heading").first).to_be_visible(timeout=WAIT)


def test_the_camera(page: Any) -> None:
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#status")).to_contain_text("frames/s", timeout=WAIT)
    expect(page.locator("#now li")).to_have_count(len(EMOTIONS), timeout=WAIT)
    expect(page.get_by_role("img", name="Emotions over time, on average")).to_be_visible()
    page.get_by_role("button", name="Keep this frame").click()
    expect(page.locator("article")).to_have_count(1, timeout=WAIT)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text("camera: ended", timeout=WAIT)
    rows = [row for row in csv.DictReader(io.StringIO(saved(page))) if row["source"] == "camera"]
    times = [float(row["time"]) for row in rows]
    assert times == sorted(times)
    assert {"0001", "0002"} <= {row["face_id"] for row in rows}


def test_a_film(page: Any, files: Path) -> None:
    page.get_by_label("Film: a frame every").select_option("0.5 s")
    drop(page, files / "film.webm", "video/webm")
    expect(page.get_by_role("status")).to_contain_text("film.webm: ended", timeout=WAIT)
    rows = list(csv.DictReader(io.StringIO(saved(page))))
    for seconds in ("0.000", "0.500", "1.000", "1.500"):  # compression may add an edge that looks like a third
        assert {"0001", "0002"} <= {row["face_id"] for row in rows if row["time"] == seconds}


def test_a_camera_that_is_cleared_can_be_used_again(page: Any) -> None:
    camera = page.get_by_role("button", name="Use the camera")
    for _ in range(2):
        camera.click()
        expect(page.locator("#status")).to_contain_text("frames/s", timeout=WAIT)
        page.get_by_role("button", name="Clear").click()
        expect(camera).to_be_enabled()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_camera_that_is_cleared_while_the_browser_asks(page: Any, files: Path) -> None:
    page.evaluate(
        """() => {
            const devices = navigator.mediaDevices, original = devices.getUserMedia.bind(devices);
            const allowed = new Promise((resolve) => { window.allow = resolve; });
            devices.getUserMedia = async (asked) => { await allowed; return window.media = await original(asked); };
        }"""
    )
    page.set_input_files("#files", files / "two.png")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Use the camera")).to_be_enabled()
    page.evaluate("allow()")
    ended = "async () => { while (!window.media?.getTracks().every(({ readyState }) => readyState === 'ended')) %s; }"
    page.evaluate(ended % "await new Promise((resolve) => setTimeout(resolve, 20))")
    expect(page.locator("#moving")).to_be_hidden()


def test_a_camera_that_is_unplugged(page: Any) -> None:
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#status")).to_contain_text("frames/s", timeout=WAIT)
    page.evaluate("document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(page.get_by_role("alert")).to_have_text("the camera has ended")


def test_stopping_a_film_is_no_error(page: Any, files: Path) -> None:
    page.evaluate(
        """() => {
            const one = (id) => document.getElementById(id);
            one("video").addEventListener("seeking", () => one("video").currentTime > 0.3 && one("stop").click());
        }"""
    )
    drop(page, files / "film.webm", "video/webm")
    expect(page.get_by_role("status")).to_contain_text("film.webm: ended", timeout=WAIT)
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": 400, "height": 800}}, {"viewport": {"width": 1100, "height": 800}, "color_scheme": "dark"}],
    indirect=True,
    ids=["phone", "dark"],
)
def test_narrow_and_dark(page: Any, files: Path) -> None:
    page.set_input_files("#files", files / "two.png")
    expect(page.locator(".face")).to_have_count(2, timeout=WAIT)
    page.get_by_text("About this model").click()
    expect(page.locator("#card table").or_(page.locator("#card h1")).first).to_be_visible(timeout=WAIT)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red, green, blue = (
        int(part) for part in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")
    )
    assert (red + green + blue < 200) is (width > 400)


def test_what_it_cannot_read(page: Any, files: Path) -> None:
    page.set_input_files("#files", [files / "text.jpg", files / "none.png"])
    expect(page.get_by_role("alert")).to_have_text("text.jpg: the picture: not an image in a supported format")
    expect(page.locator("article")).to_contain_text("No face found.", timeout=WAIT)
    drop(page, files / "text.jpg", "video/mp4")
    expect(page.get_by_role("alert")).to_contain_text("text.jpg: this browser cannot play it", timeout=WAIT)


def test_everything_has_a_name(page: Any, files: Path) -> None:
    """For screen readers: no control without a name, and no picture without a text."""
    page.set_input_files("#files", files / "two.png")
    expect(page.locator(".face")).to_have_count(2, timeout=WAIT)
    snapshot = page.locator("body").aria_snapshot()
    nameless = {"- button", "- combobox", "- img", "- textbox"}
    assert not nameless & {line.strip() for line in snapshot.splitlines()}
    assert 'img "The picture, 2 faces' in snapshot


def test_a_server_that_is_gone(browser: Any, model: Path, files: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with running(model) as url:
        page.goto(url)
        expect(page.locator("#limits")).to_contain_text("Photographs", timeout=WAIT)
    page.set_input_files("#files", files / "two.png")
    expect(page.get_by_role("alert")).to_contain_text("two.png: the server does not answer", timeout=WAIT)
    context.close()


def test_photographs_beyond_the_limit(browser: Any, model: Path, files: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with running(model, max_megabytes=1e-5) as url:
        page.goto(url)
        expect(page.locator("#limits")).to_contain_text("Photographs", timeout=WAIT)
        page.set_input_files("#files", [files / "two.png", files / "none.png"])
        for name in ("two.png", "none.png"):
            expect(page.get_by_role("alert")).to_contain_text(f"{name}: 0.0 MB; the limit is 0.00001 MB")
        context.close()


def test_several_models(browser: Any, model: Path, files: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with running(model, checkpoints=(model, Path("ferplus"))) as url:
        page.goto(url)
        page.get_by_label("Model").select_option("ferplus")
        page.set_input_files("#files", files / "two.png")
        expect(page.locator(".face").first.locator("li")).to_have_count(8, timeout=WAIT)
        context.close()
