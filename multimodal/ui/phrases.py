"""Every text of the screen in both languages."""

from __future__ import annotations

PHRASES: dict[str, tuple[str, str]] = {
    "chat": ("Chat", "对话"),
    "model": ("Model", "模型"),
    "language": ("Language", "语言"),
    "theme": ("Light / dark", "浅色 / 深色"),
    "box": (
        "Ask about a picture, a recording or a video. Drop files here, or speak.",
        "就图片、录音或视频提问。可以把文件拖到这里，也可以说话。",
    ),
    "empty": (
        "### What would you like to know?\nDrop in a picture, a recording or a video, or try one of these.",
        "### 想知道什么？\n拖入图片、录音或视频，或者试试下面的例子。",
    ),
    "conversation": ("Conversation", "对话内容"),
    "settings": ("Settings", "设置"),
    "system_prompt": ("System prompt", "系统提示"),
    "system_prompt_info": ("What the model is told before the conversation", "对话开始前告诉模型的话"),
    "max_new_tokens": ("Longest answer", "最长回答"),
    "max_new_tokens_info": ("In tokens, about three quarters of a word each", "以 token 计，约相当于一个汉字"),
    "temperature": ("Variety", "多样性"),
    "temperature_info": ("0 gives the likeliest words, and the same ones each time", "0 表示每次都选最可能的词"),
    "video": ("Videos are given as", "视频的输入方式"),
    "video_split": ("Sound and last frame", "声音和最后一帧"),
    "video_frames": ("Frames and sound", "多帧画面和声音"),
    "video_info": ("Frames show motion, and take longer", "多帧能看出运动，但更慢"),
    "aloud": ("Answer aloud", "语音回答"),
    "voice": ("Voice", "声音"),
    "silent": ("This model cannot speak: {reason}.", "这个模型不能说话：{reason}。"),
    "waiting": ("Waiting for another answer to finish …", "正在等待另一个回答完成……"),
    "loading": ("The model is still loading …", "模型还在加载……"),
    "reading": ("Reading the files …", "正在读取文件……"),
    "thinking": ("…", "……"),
    "speaking": ("Making the spoken answer …", "正在生成语音……"),
    "stopped": ("Stopped.", "已停止。"),
    "turns_dropped": (
        "The conversation has grown too long for the model: its oldest {count} turns are no longer seen.",
        "对话太长，模型不再看到最早的 {count} 轮。",
    ),
    "tokens": ("{tokens} tokens, {seconds} s", "{tokens} 个 token，{seconds} 秒"),
    "status_loading": ("{model} is loading …", "正在加载 {model}……"),
    "status_failed": ("{model} could not be loaded.", "无法加载 {model}。"),
    "status_ready": ("{model} on {device}", "{model}，运行于 {device}"),
    "status_cpu": ("the processor", "处理器"),
    "status_device": ("graphics memory {used} of {total} GB", "显存 {used} / {total} GB"),
    "status_host": ("memory {used} GB, {free} GB free", "内存 {used} GB，剩余 {free} GB"),
    "banner": (
        "**This is the bundled demo model.** It is tiny and knows only a toy world: coloured circles, squares, triangles and stars in pictures, spoken"
        " numbers, colours and shapes, beeps, and which way a shape moves. For real questions set `MODEL_PATH` (see the tab *Model*).",
        "**这是自带的演示模型。** 它很小，只认识一个玩具世界：图片里彩色的圆形、方形、三角形和星形，口语的数字、颜色和形状，哔声，以及图形往哪边移动。"
        "想问真正的问题，请设置 `MODEL_PATH`（见“模型”页）。",
    ),
    "model_page_demo": (
        "### The bundled demo model\n"
        "A Qwen2.5-Omni of the real architecture with four million parameters, trained on a generated toy world. It shows that everything works; it knows"
        " nothing else, and says so.\n\n"
        "### The real model\n"
        "1. Choose **Qwen/Qwen2.5-Omni-3B** (12 GB on disk) or **Qwen/Qwen2.5-Omni-7B** (22 GB).\n"
        "2. Write `MODEL_PATH=Qwen/Qwen2.5-Omni-3B` into a file named `.env` beside `app.py`, or start with"
        " `python app.py --model Qwen/Qwen2.5-Omni-3B`. It is downloaded at the first start. A folder that holds the model does as well.\n"
        "3. Start the desk again.",
        "### 自带的演示模型\n"
        "它是真正的 Qwen2.5-Omni 架构，只有四百万参数，在生成的玩具世界上训练。它用来说明一切都能工作；别的它不知道，也会直说。\n\n"
        "### 使用真正的模型\n"
        "1. 选择 **Qwen/Qwen2.5-Omni-3B**（占磁盘 12 GB）或 **Qwen/Qwen2.5-Omni-7B**（22 GB）。\n"
        "2. 在 `app.py` 旁边的 `.env` 文件里写上 `MODEL_PATH=Qwen/Qwen2.5-Omni-3B`，或用"
        " `python app.py --model Qwen/Qwen2.5-Omni-3B` 启动。首次启动时会下载；也可以填模型所在的文件夹。\n"
        "3. 重新启动。",
    ),
    "model_page_real": ("### {model}\nRunning on {device}. {speech}", "### {model}\n运行于 {device}。{speech}"),
    "model_page_speech": ("It can answer aloud; its voices are {voices}.", "可以语音回答，声音有：{voices}。"),
}


def phrase(name: str, language: str, **facts: object) -> str:
    """The text in `language` ('en' or 'zh'), its {slots} filled."""
    return PHRASES[name][language == "zh"].format(**facts) if facts else PHRASES[name][language == "zh"]
