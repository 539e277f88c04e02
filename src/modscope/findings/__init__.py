"""One claim each: statement, effect, control, verdict."""
