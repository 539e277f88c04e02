"""The findings and figures of one network as a page or as JSON."""
