"""What is wrong with a model, said in sentences (§7)."""

from keras_dcnn.diagnosis.examine import examine
from keras_dcnn.diagnosis.finding import Finding

__all__ = ["Finding", "examine"]
