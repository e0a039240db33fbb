"""What the cells of the notebook call: one function each, every one of them can be called again.

machine = notebook.look()
choice = notebook.choose(model_name=..., phase_script=..., ...)
notebook.read_secrets()
notebook.install(machine)
notebook.serve(choice)
await notebook.run(choice)
notebook.summary(choice)
notebook.show_report(choice)
notebook.download(choice)
notebook.stop(choice)
"""

from engine.cli.notebook.choosing import Choice, choose
from engine.cli.notebook.machine import Machine, install, look
from engine.cli.notebook.results import download, show_report, summary
from engine.cli.notebook.running import run
from engine.cli.notebook.secrets import read_secrets
from engine.cli.notebook.serving import serve, stop

__all__ = [
    "Choice",
    "Machine",
    "choose",
    "download",
    "install",
    "look",
    "read_secrets",
    "run",
    "serve",
    "show_report",
    "stop",
    "summary",
]
