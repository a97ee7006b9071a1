"""Pictures, documents and recordings."""

from tests.conformance.asking import OLLAMA, Document, Picture, Recording, user
from tests.conformance.files import PDF, PNG, WAV
from tests.conformance.matrix import Absent, Cases, Cell, Loss

CASES = Cases("Media")

QUESTION = "What is this?"


@CASES.add("A picture as base64")
def picture(cell: Cell) -> None:
    seen = cell.seen(user(QUESTION, Picture(data=PNG)))
    assert [(image["media_type"], image["bytes"]) for image in seen["images"]] == [("image/png", len(PNG))]
    assert seen["said"] == QUESTION


@CASES.add("Two pictures in one message")
def pictures(cell: Cell) -> None:
    seen = cell.seen(user(Picture(data=PNG), Picture(data=PNG), "Which is redder?"))
    assert [image["bytes"] for image in seen["images"]] == [len(PNG), len(PNG)]
    assert seen["said"].strip() == "Which is redder?"


@CASES.add("A picture by its address", Absent("ollama>*", "Ollama takes no addresses of pictures."))
def picture_by_url(cell: Cell) -> None:
    fetched = cell.lab.recorded.fetched
    fetched.clear()
    address = f"{cell.lab.recorded.base_url}/pixel.png"
    (image,) = cell.seen(user(QUESTION, Picture(url=address)))["images"]
    # No backend inside the network is told to fetch for a caller, and Ollama cannot: Modelyard did, guarded.
    assert image["bytes"] == len(PNG)
    assert list(fetched) == ["/pixel.png"]


@CASES.add(
    "A PDF",
    Loss("*>ollama", ("messages.document",), "Ollama's messages hold text and pictures."),
    Absent("ollama>*", "Ollama's messages hold text and pictures."),
)
def document(cell: Cell) -> None:
    seen = cell.seen(user(Document(data=PDF), "Sum it up."))
    if cell.target != OLLAMA:
        told = [(one["media_type"], one["bytes"], one["name"]) for one in seen["documents"]]
        assert told == [("application/pdf", len(PDF), "report.pdf")]
    assert seen["said"].strip() == "Sum it up."


@CASES.add(
    "A document of plain text",
    Absent("openai|ollama>*", "This dialect has no documents of plain text: they are words like any other."),
)
def text_document(cell: Cell) -> None:
    seen = cell.seen(user(Document(text="All is well.", name="report.txt"), "Sum it up."))
    if cell.pair.caller != cell.target:
        assert "All is well." in seen["said"]
    assert "Sum it up." in seen["said"]


@CASES.add(
    "A recording",
    Loss("openai>anthropic|ollama", ("messages.audio",), "The target's dialect takes no audio."),
    Absent("anthropic|ollama>*", "This dialect takes no audio."),
)
def recording(cell: Cell) -> None:
    seen = cell.seen(user(Recording(data=WAV), "What was said?"))
    if cell.pair.caller == cell.target:
        assert [one["bytes"] for one in seen["audio"]] == [len(WAV)]
    assert seen["said"].strip() == "What was said?"
