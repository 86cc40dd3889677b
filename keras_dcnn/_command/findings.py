"""Findings on a terminal: one paragraph each."""

from rich.console import Console


def print_findings(findings):
    """Print each as its severity and two sentences, wrapped to the terminal."""
    for finding in findings:
        text = f"{finding.severity}: {finding}"
        Console().print(text, markup=False, highlight=False, soft_wrap=False)
