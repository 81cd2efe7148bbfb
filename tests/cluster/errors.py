from pathlib import Path


class ClusterError(RuntimeError):
    """One sentence that says what went wrong and what to do, with the tail of the log that shows why."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(f"{sentence}\n{tail(log)}" if log else sentence)


def tail(log: Path, lines: int = 20) -> str:
    if not log.exists():
        return f"(no log at {log})"
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"--- end of {log}", *last])
