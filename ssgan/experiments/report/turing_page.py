"""The page of a visual Turing test, from the template turing.html.j2: as it is served, and as a file to send to
others.
"""

import base64
import secrets
from dataclasses import dataclass

import numpy as np

from ssgan.experiments.report.html import environment


@dataclass(frozen=True, eq=False)
class TuringPage:
    """What the page shows: the pixels alone. What is real is not in it, nor the run, nor the seed."""

    images: np.ndarray  # uint8 [n, c, h, w], in the order in which they are shown
    test: str  # the test's id
    dataset: str
    name: str = ""  # of the person, to begin with
    feedback: bool = False

    def served(self) -> tuple[str, str]:
        """The page that asks and tells its server, and the Content-Security-Policy that it is sent with."""
        return self._filled("server", "'self'")

    def file(self) -> str:
        """The page as one file that needs nothing beside it, speaks to nobody and saves its answers as a file."""
        return self._filled("file", "'none'")[0]

    def _filled(self, mode: str, speaks_to: str) -> tuple[str, str]:
        nonce = secrets.token_urlsafe(16)
        policy = (f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
                  f"connect-src {speaks_to}; base-uri 'none'; form-action 'none'")
        # as pixels, all equally long: compressed, real images and generated ones differ in length
        pixels = [base64.b64encode(image.tobytes()).decode() for image in self.images]
        data = {"mode": mode, "test": self.test, "shape": list(self.images.shape[1:]), "images": pixels,
                "feedback": self.feedback}
        template = environment().get_template("turing.html.j2")
        return template.render(nonce=nonce, policy=policy, data=data, count=len(pixels), name=self.name, mode=mode,
                               dataset=self.dataset, feedback=self.feedback) + "\n", policy
