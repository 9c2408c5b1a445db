"""Files into arrays. Knows nothing of models, conversations or the web."""

from multimodal.media.ffmpeg import Stopped
from multimodal.media.intake import Limits, look_at, take
from multimodal.media.kinds import Clip, Medium, Picture, Sound

__all__ = ["Clip", "Limits", "Medium", "Picture", "Sound", "Stopped", "look_at", "take"]
