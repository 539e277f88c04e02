"""What to cite for work with a network: modscope, where the network is from, and where the measures are from."""

from __future__ import annotations

from dataclasses import dataclass

from modscope._version import __version__
from modscope.checkpoints import Checkpoint
from modscope.display import Shown
from modscope.provenance import source_commit

__all__ = ["WORKS", "Work", "bibtex", "works_of"]


@dataclass(frozen=True, repr=False)
class Work(Shown):
    """One work to cite. why: what of it is used; about: what it is cited for here."""

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    where: str
    why: str
    eprint: str = ""
    note: str = ""

    def _told(self) -> dict[str, object]:
        return {
            "by": "; ".join(self.authors),
            "title": self.title,
            "in": f"{self.where}, {self.year}",
            "for": self.why,
        }

    def bibtex(self) -> str:
        """The entry for BibTeX.

        >>> print(Work("k", ("Ada, A.", "Bo, B."), "On sums", 2023, "A journal", "sums", "1234.5").bibtex())
        @misc{k,
          author = {Ada, A. and Bo, B.},
          title = {{On sums}},
          year = {2023},
          howpublished = {A journal},
          eprint = {1234.5},
          archiveprefix = {arXiv}
        }
        """
        fields = {
            "author": " and ".join(self.authors),
            "title": "{" + self.title + "}",
            "year": str(self.year),
            "howpublished": self.where,
            "note": self.note,
            "eprint": self.eprint,
            "archiveprefix": "arXiv" if self.eprint else "",
        }
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@misc{{{self.key},\n" + ",\n".join(lines) + "\n}"


_NANDA = Work(
    "nanda2023progress",
    ("Nanda, Neel", "Chan, Lawrence", "Lieberum, Tom", "Smith, Jess", "Steinhardt, Jacob"),
    "Progress measures for grokking via mechanistic interpretability",
    2023,
    "International Conference on Learning Representations",
    "restricted and excluded loss, neurons by frequency, logits as cosines, the training recipe",
    "2301.05217",
)
_ZHONG = Work(
    "zhong2023clock",
    ("Zhong, Ziqian", "Liu, Ziming", "Tegmark, Max", "Andreas, Jacob"),
    "The Clock and the Pizza: Two Stories in Mechanistic Explanation of Neural Networks",
    2023,
    "Advances in Neural Information Processing Systems",
    "gradient symmetricity, distance irrelevance, circularity, the forms of clock and pizza",
    "2306.17844",
)
_CHUGHTAI = Work(
    "chughtai2023toy",
    ("Chughtai, Bilal", "Chan, Lawrence", "Nanda, Neel"),
    "A Toy Model of Universality: Reverse Engineering how Networks Learn Group Operations",
    2023,
    "International Conference on Machine Learning",
    "logit similarity with characters, key representations",
    "2302.03025",
)
WORKS = (_NANDA, _ZHONG, _CHUGHTAI)


def modscope_itself() -> Work:
    """modscope, of the version and commit that is running."""
    commit = source_commit()
    return Work(
        "modscope",
        ("{The modscope authors}",),
        "modscope: an oscilloscope for transformers that do modular arithmetic",
        2026,
        "software",
        "everything measured and drawn",
        note=f"version {__version__}" + (f", commit {commit[:12]}" if commit else ""),
    )


def works_of(checkpoint: Checkpoint | None = None) -> tuple[Work, ...]:
    """modscope and the works that its measures are from; with a checkpoint, the network's own paper next, if its layout tells."""
    own = _paper_of(checkpoint) if checkpoint is not None else None
    rest = [work for work in WORKS if work is not own]
    return (modscope_itself(), *((own,) if own else ()), *rest)


def _paper_of(checkpoint: Checkpoint) -> Work | None:
    """Whose layout the network is stored in: that tells where it is from as well as a file can."""
    if checkpoint.layout == "old":
        return _NANDA if "=" in checkpoint.model.config.positions else _ZHONG
    return _CHUGHTAI if checkpoint.layout.endswith("mlp") else None


def bibtex(works: tuple[Work, ...]) -> str:
    """All entries, each under a comment that says what it is cited for."""
    return "\n\n".join(f"% {work.why}\n{work.bibtex()}" for work in works)
