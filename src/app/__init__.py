"""A web page for a trained recogniser: `python app.py`."""
