"""What a plan decided and why, in words, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass, field

SENTENCES = {
    "all_fits": (
        "Everything fits on the device as it is.",
        "全部放得进设备，无需取舍。",
    ),
    "on_cpu": (
        "There is no graphics card to use, so the processor computes and host memory is the budget.",
        "没有可用的显卡，由处理器计算，预算为内存。",
    ),
    "towers_moved": (
        "The vision and audio towers ({size}) wait in host memory and are on the device only while they encode.",
        "视觉和音频编码器（{size}）平时放在内存里，只在编码时进显卡。",
    ),
    "speech_moved": (
        "The speech parts ({size}) wait in host memory and are on the device only while they speak.",
        "语音部分（{size}）平时放在内存里，只在说话时进显卡。",
    ),
    "embeddings_host": (
        "The embedding table ({size}) stays in host memory: only the rows that are asked for go to the device.",
        "词向量表（{size}）留在内存，只有用到的行送进显卡。",
    ),
    "pieces": (
        "Prompts are read {chunk} tokens at a time, and pictures and sound in pieces, with the same result.",
        "提示每次处理 {chunk} 个词元，图片和声音分块处理，结果不变。",
    ),
    "layers_int8": (
        "The language layers are kept in 8 bits ({size}): in full precision they do not fit.",
        "语言层用 8 位保存（{size}）：完整精度放不下。",
    ),
    "layers_nf4": (
        "The language layers are kept in 4 bits, NF4 ({size}): in higher precision they do not fit.",
        "语言层用 4 位 NF4 保存（{size}）：更高精度放不下。",
    ),
    "head_nf4": (
        "The output layer is kept in 4 bits ({size}).",
        "输出层用 4 位保存（{size}）。",
    ),
    "talker_nf4": (
        "The talker is kept in 4 bits ({size}).",
        "说话模块用 4 位保存（{size}）。",
    ),
    "sound_int8": (
        "The part that makes sound of codes is kept in 8 bits ({size}).",
        "声码部分用 8 位保存（{size}）。",
    ),
    "towers_nf4": (
        "The towers are kept in 4 bits ({size}); small print in pictures may suffer.",
        "编码器用 4 位保存（{size}）；图片中的小字可能受影响。",
    ),
    "thinker_moved": (
        "The language layers leave the device while the other parts are at work.",
        "其他部分工作时，语言层让出显卡。",
    ),
    "small_pieces": (
        "Prompts are read {chunk} tokens at a time and media in the smallest pieces: slower, with the same result.",
        "提示每次处理 {chunk} 个词元，媒体分成最小块：更慢，结果不变。",
    ),
    "cache_host": (
        "The memory of the conversation (KV cache, {cache}) is kept in host memory.",
        "对话的缓存（KV 缓存，{cache}）放在内存里。",
    ),
    "towers_host": (
        "The towers compute on the processor.",
        "编码器由处理器计算。",
    ),
    "fewer_pixels": (
        "Pictures are brought down to {pixels} pixels, video frames to {frame_pixels}.",
        "图片缩小到 {pixels} 像素，视频帧缩小到 {frame_pixels} 像素。",
    ),
    "fewer_frames": (
        "At most {frames} frames are taken of a video.",
        "视频最多取 {frames} 帧。",
    ),
    "least_pixels": (
        "Pictures are brought down to {pixels} pixels, video frames to {frame_pixels}.",
        "图片缩小到 {pixels} 像素，视频帧缩小到 {frame_pixels} 像素。",
    ),
    "shorter_sound": (
        "At most {seconds} seconds of sound are heard, and {speech} seconds spoken.",
        "最多听 {seconds} 秒声音，最多说 {speech} 秒。",
    ),
    "shorter_context": (
        "A conversation holds at most {context} tokens, its answer included.",
        "一次对话最多 {context} 个词元（含回答）。",
    ),
    "map": (
        "As DEVICE_MAP says, {part} is at '{place}'.",
        "按 DEVICE_MAP 的设置，{part} 放在 {place}。",
    ),
    "cut_pixels": (
        "The pictures are larger than {pixels} pixels or {side} along a side and are brought down to that.",
        "图片超过 {pixels} 像素或边长 {side}，会缩小。",
    ),
    "cut_frames": (
        "Of the video, {frames} frames are taken.",
        "视频取 {frames} 帧。",
    ),
    "cut_seconds": (
        "Of the sound, the first {seconds} seconds are heard.",
        "声音只听前 {seconds} 秒。",
    ),
    "cut_context": (
        "The question is longer than the {context} tokens that a conversation holds: its oldest turns are left out.",
        "问题超过对话可容纳的 {context} 个词元：较早的内容会省略。",
    ),
    "other": (
        "{size} of host memory are kept for the picture library's encoder.",
        "为图库的编码器保留 {size} 内存。",
    ),
    "nothing_fits_host": (
        "Nothing fits into {budget} of host memory: with everything given up that can be, it takes {host}.",
        "内存 {budget} 放不下：能省的都省后，仍需 {host}。",
    ),
    "nothing_fits": (
        "Nothing fits into {budget}: with everything given up that can be, it takes {device} on the device and {host} in host memory.",
        "{budget} 放不下：能省的都省后，仍需设备 {device}、内存 {host}。",
    ),
}
SAME = {"head_nf4_device": "head_nf4", "talker_nf4_device": "talker_nf4"}


@dataclass(frozen=True)
class Reason:
    """One decision."""

    code: str
    fields: dict[str, object] = field(default_factory=dict)

    def say(self, language: str = "en") -> str:
        """The sentence, in 'en' or 'zh'."""
        return SENTENCES[SAME.get(self.code, self.code)][language == "zh"].format(**self.fields)


def size_text(size: int) -> str:
    """Bytes for people, in the unit that cards are sold in."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**28 else f"{size / 2**20:.0f} MiB"
