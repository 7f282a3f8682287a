"""Measures all of the above: claims, faithfulness, metrics, and the runs that judge them on labelled data."""
