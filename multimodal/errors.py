"""What can go wrong by a person's doing, each as one sentence in their language that says what is wrong and what to do."""

from __future__ import annotations

import string

# code: (HTTP status, English, Chinese). {slots} are filled from the error's facts.
SENTENCES: dict[str, tuple[int, str, str]] = {
    # settings
    "unknown_key": (400, "The setting {key} in {where} is not known: {hint}.", "{where} 里的设置项 {key} 不存在：{hint}。"),
    "bad_value": (400, "The setting {key} cannot be {value!r}: it takes {wanted}.", "设置项 {key} 不能是 {value!r}：应为 {wanted}。"),
    "bad_line": (
        400,
        "Line {line} of {where} cannot be read: write KEY=value there, and close every quotation mark.",
        "{where} 的第 {line} 行无法读取：请写成 KEY=value，引号要成对。",
    ),
    "bad_env_file": (
        400,
        "{where} cannot be read ({reason}): make it a text file in UTF-8, or take it away.",
        "无法读取 {where}（{reason}）：请改为 UTF-8 文本文件，或将其移走。",
    ),
    "cannot_listen": (
        400,
        "The desk cannot listen at {address} ({reason}): choose another PORT or HOST.",
        "无法监听 {address}（{reason}）：请换一个 PORT 或 HOST。",
    ),
    # the model
    "model_not_found": (
        503,
        "No model was found at {path}: check MODEL_PATH, or leave it empty for the demo model.",
        "在 {path} 找不到模型：请检查 MODEL_PATH，或留空以使用演示模型。",
    ),
    "model_not_fetched": (
        503,
        "The model {path} could not be fetched ({reason}): check MODEL_PATH, the connection and the room on the disk, and start again.",
        "无法获取模型 {path}（{reason}）：请检查 MODEL_PATH、网络连接和磁盘空间，然后重新启动。",
    ),
    "no_device": (
        503,
        "There is no {device} that PyTorch can use here: set DEVICE to auto, or install a PyTorch build and a driver for the card.",
        "PyTorch 在这里找不到可用的 {device}：请把 DEVICE 设为 auto，或安装支持该显卡的 PyTorch 和驱动。",
    ),
    "model_not_omni": (
        503,
        "The model at {path} is a {kind}, not a Qwen2.5-Omni: set MODEL_PATH to one.",
        "{path} 是 {kind} 模型，不是 Qwen2.5-Omni：请把 MODEL_PATH 设为后者。",
    ),
    "model_broken": (
        503,
        "The model at {path} could not be loaded ({reason}): download it again, or choose another.",
        "无法加载 {path} 处的模型（{reason}）：请重新下载，或换一个。",
    ),
    "model_too_large": (
        503,
        "The model at {path} does not fit into memory: close other programs, or choose a smaller model.",
        "内存装不下 {path} 处的模型：请关闭其他程序，或换更小的模型。",
    ),
    "does_not_fit": (
        503,
        "The model at {path} needs {needed}, and {host} of host memory, and only {budget} may be used: choose a smaller model, close other"
        " programs, or load it anyway on the model page (LOAD_ANYWAY=true).",
        "{path} 处的模型需要 {needed}（另需内存 {host}），而可用的只有 {budget}：请换更小的模型、关闭其他程序，或在模型页选择仍然加载（LOAD_ANYWAY=true）。",
    ),
    # getting a model
    "model_unknown": (
        404,
        "{hub} has no model called {name} that is open to everyone: check the name, or choose the other source.",
        "{hub} 上没有名为 {name} 的公开模型：请检查名称，或换一个来源。",
    ),
    "model_gated": (
        403,
        "{hub} gives {name} only to those who accepted its terms: accept them on its page, put your token into HF_TOKEN and start again.",
        "{name} 须先在 {hub} 上接受条款才能下载：请在其页面上接受条款，把令牌填入 HF_TOKEN，然后重新启动。",
    ),
    "token_refused": (
        403,
        "{hub} does not accept the token in HF_TOKEN or of hf auth login: renew it, or take it away.",
        "{hub} 不接受 HF_TOKEN 或 hf auth login 的令牌：请更新或移除它。",
    ),
    "model_no_weights": (
        422,
        "{name} at {hub} is not a config.json with weights in safetensors files: choose another model.",
        "{hub} 上的 {name} 没有 config.json 和 safetensors 权重：请换一个模型。",
    ),
    "hub_unreachable": (
        503,
        "{hub} cannot be reached ({reason}): check the connection, or choose the other source.",
        "无法连接 {hub}（{reason}）：请检查网络连接，或换一个来源。",
    ),
    "hub_answer": (
        502,
        "{hub} gave an answer that cannot be used ({reason}): try again later, or choose the other source.",
        "{hub} 的应答无法使用（{reason}）：请稍后再试，或换一个来源。",
    ),
    "disk_too_small": (
        507,
        "{name} needs {needed} more and {path} has {free} free: make room, or set DATA_DIR to a folder on a larger disk.",
        "{name} 还需要 {needed}，而 {path} 只剩 {free}：请腾出空间，或把 DATA_DIR 设到更大的磁盘上。",
    ),
    "disk_full": (
        507,
        "The disk of {path} is full and {needed} are still to come: make room and start again, it goes on where it stopped.",
        "{path} 所在的磁盘已满，还差 {needed}：请腾出空间后重新开始下载，会从中断处继续。",
    ),
    "cannot_save": (
        507,
        "The model cannot be saved in {path} ({reason}): make that folder writable, or set DATA_DIR to another.",
        "无法把模型保存到 {path}（{reason}）：请让该文件夹可写，或把 DATA_DIR 设为其他文件夹。",
    ),
    "file_damaged": (
        502,
        "{name} arrived damaged from {hub} twice: try again later, or choose the other source.",
        "{name} 两次从 {hub} 下载后都已损坏：请稍后再试，或换一个来源。",
    ),
    "download_broken": (
        503,
        "The download from {hub} broke off ({reason}): check the connection and start again, it goes on where it stopped.",
        "从 {hub} 的下载中断了（{reason}）：请检查网络连接后重新开始，会从中断处继续。",
    ),
    "download_running": (
        409,
        "{name} is being downloaded already: wait for it, or stop it first.",
        "{name} 正在下载：请等待，或先停止它。",
    ),
    "loading_cancelled": (
        503,
        "Loading {path} was cancelled: choose a model on the model page.",
        "已取消加载 {path}：请在模型页选择一个模型。",
    ),
    "loading": (503, "The model is still loading: try again in a moment.", "模型还在加载：请稍后再试。"),
    "out_of_memory": (
        503,
        "Memory ran out during this answer: send fewer or smaller files, or start a new conversation.",
        "回答过程中内存不足：请减少或缩小文件，或开始新对话。",
    ),
    "busy": (503, "The model is busy with other answers: try again in a moment.", "模型正忙于其他回答：请稍后再试。"),
    "answer_failed": (
        500,
        "The answer could not be finished ({reason}): ask again; the log on the computer says more.",
        "回答没能完成（{reason}）：请再问一次，电脑上的日志里有更多信息。",
    ),
    # questions
    "empty_question": (422, "There is no question: type something, or add a file.", "没有问题：请输入文字，或添加文件。"),
    "question_too_long": (
        413,
        "The question takes {tokens} tokens and the limit is {limit}: shorten it, or send fewer or shorter files.",
        "问题需要 {tokens} 个 token，上限是 {limit}：请缩短问题，或减少、缩短文件。",
    ),
    "too_many_files": (
        413,
        "There are {count} files and the limit is {limit}: send fewer.",
        "共有 {count} 个文件，上限是 {limit} 个：请减少文件。",
    ),
    "too_large_request": (
        413,
        "The request is larger than {limit}: send smaller or fewer files.",
        "请求超过了 {limit}：请减少或缩小文件。",
    ),
    "bad_field": (422, "The field {field} cannot be {value!r}: it takes {wanted}.", "字段 {field} 不能是 {value!r}：应为 {wanted}。"),
    "bad_request": (
        400,
        "The request could not be read ({reason}): send multipart/form-data as the documentation shows.",
        "无法读取请求（{reason}）：请按文档以 multipart/form-data 发送。",
    ),
    "wrong_method": (405, "{path} does not take {method}: send {wanted}.", "{path} 不接受 {method}：请用 {wanted}。"),
    "not_served": (
        404,
        "The desk does not serve {path}: use its page, or POST /multimodal.",
        "本应用不提供 {path}：请使用页面，或 POST /multimodal。",
    ),
    "no_speech": (
        422,
        "This model cannot speak ({reason}): switch the spoken answer off.",
        "这个模型不能说话（{reason}）：请关闭语音回答。",
    ),
    "forbidden_origin": (
        403,
        "This request came from another site and was refused: open the desk at its own address.",
        "请求来自其他网站，已拒绝：请从本应用自己的地址打开。",
    ),
    # files
    "file_missing": (422, "{name} is no longer there: add it again.", "{name} 已不存在：请重新添加。"),
    "file_empty": (422, "{name} is empty: choose another file.", "{name} 是空文件：请换一个文件。"),
    "file_too_large": (
        413,
        "{name} has {size} and the limit is {limit}: choose a smaller file.",
        "{name} 大小为 {size}，上限是 {limit}：请换小一点的文件。",
    ),
    "file_unknown": (
        415,
        "{name} is not a picture, sound or video that can be read: save it as JPEG, PNG, WAV, MP3 or MP4.",
        "{name} 不是可读取的图片、声音或视频：请另存为 JPEG、PNG、WAV、MP3 或 MP4。",
    ),
    "file_svg": (415, "{name} is a vector drawing, which is not opened: save it as PNG.", "{name} 是矢量图，不会被打开：请另存为 PNG。"),
    "file_heic": (
        415,
        "{name} is a HEIC picture, which cannot be read here: save it as JPEG.",
        "{name} 是 HEIC 图片，这里无法读取：请另存为 JPEG。",
    ),
    "file_playlist": (
        415,
        "{name} is a playlist that points elsewhere, which is not followed: add the sound or video itself.",
        "{name} 是指向别处的播放列表，不会被打开：请直接添加声音或视频文件。",
    ),
    "file_wrong_kind": (
        415,
        "{name} is {found}, not {wanted}: put it in the right place.",
        "{name} 是{found}，不是{wanted}：请放到正确的位置。",
    ),
    "picture_too_large": (
        413,
        "{name} has {megapixels} megapixels and the limit is {limit}: make it smaller first.",
        "{name} 有 {megapixels} 百万像素，上限是 {limit}：请先缩小。",
    ),
    "picture_too_long": (
        422,
        "{name} is {width} by {height} pixels, too narrow to be seen: crop it first.",
        "{name} 为 {width}×{height} 像素，过于狭长：请先裁剪。",
    ),
    "picture_broken": (
        422,
        "{name} is damaged or cut short and cannot be read as a picture: save or copy it again.",
        "{name} 已损坏或不完整，无法作为图片读取：请重新保存或复制。",
    ),
    "sound_broken": (
        422,
        "{name} holds no sound that can be read: record or save it again.",
        "{name} 里没有可读取的声音：请重新录制或保存。",
    ),
    "sound_too_short": (
        422,
        "{name} holds no more than a blink of sound: record at least a tenth of a second.",
        "{name} 的声音太短：请录制至少十分之一秒。",
    ),
    "sound_too_long": (
        413,
        "{name} lasts {length} and the limit is {limit}: cut out the part you ask about.",
        "{name} 长 {length}，上限是 {limit}：请截取要问的部分。",
    ),
    "video_broken": (
        422,
        "{name} holds no picture that can be read: save or copy it again.",
        "{name} 里没有可读取的画面：请重新保存或复制。",
    ),
    "video_too_long": (
        413,
        "{name} lasts {length} and the limit is {limit}: cut out the part you ask about.",
        "{name} 长 {length}，上限是 {limit}：请截取要问的部分。",
    ),
    "decoder_slow": (
        422,
        "{name} took too long to read: save it in a common form such as MP4 or WAV.",
        "{name} 读取时间过长：请另存为常见格式，如 MP4 或 WAV。",
    ),
}

KINDS = {
    "picture": ("a picture", "图片"),
    "sound": ("a sound", "声音"),
    "video": ("a video", "视频"),
}


# why a model cannot speak
MUTE = {
    "no talker": ("it has no talker", "它没有说话的部分"),
    "voices missing": ("its spk_dict.pt is missing", "缺少 spk_dict.pt"),
    "voices damaged": ("its spk_dict.pt is damaged", "spk_dict.pt 已损坏"),
}


class UserError(Exception):
    """Something a person can mend. `code` is a key of SENTENCES; `facts` fill the sentence, a pair being (English, Chinese)."""

    def __init__(self, code: str, **facts: object):
        self.code = code
        self.facts = facts
        super().__init__(self.say("en"))

    def anew(self) -> UserError:
        """The same error to be raised once more: one that is raised twice keeps what both tracebacks hold."""
        return type(self)(self.code, **self.facts)

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return SENTENCES[self.code][0]

    def say(self, language: str) -> str:
        """The sentence in `language` ('en' or 'zh')."""
        chinese = language == "zh"
        pairs = {
            slot: KINDS.get(fact, fact) if isinstance(fact, str) and slot in ("found", "wanted") else fact
            for slot, fact in self.facts.items()
        }
        facts = {slot: fact[chinese] if isinstance(fact, tuple) else fact for slot, fact in pairs.items()}
        return string.Formatter().vformat(SENTENCES[self.code][2 if chinese else 1], (), facts)


def size_text(count: float) -> str:
    """A number of bytes as people write it: '12.3 MB'."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if round(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def length_text(seconds: float) -> str:
    """A time as people write it: '1:02:03' or '0:07'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
