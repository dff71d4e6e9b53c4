"""What a call costs, ours and other clients': see docs/performance.md."""
