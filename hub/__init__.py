"""The smart half: polls cameras, scores what they see, keeps the few frames worth labelling."""
