from src.model.conformer import Conformer

__all__ = ["Conformer"]
