"""Every text of the screen in both languages."""

from __future__ import annotations

from multimodal.ui.library_phrases import LIBRARY_PHRASES

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
    "shrunk": (
        "{name} was made smaller for the memory that there is: {before} became {after}.",
        "为适应现有内存，{name} 已缩小：{before} → {after}。",
    ),
    "less_memory": (
        "Memory ran out on the way; it went on with less.",
        "途中内存不足，已改用更省的方式继续。",
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
        " numbers, colours and shapes, beeps, and which way a shape moves. For real questions load a real model (see the tab *Model*).",
        "**这是自带的演示模型。** 它很小，只认识一个玩具世界：图片里彩色的圆形、方形、三角形和星形，口语的数字、颜色和形状，哔声，以及图形往哪边移动。"
        "想问真正的问题，请加载真正的模型（见“模型”页）。",
    ),
    "status_unloaded": ("{model} is not in memory; the next question loads it again.", "{model} 不在内存中，下次提问时会重新加载。"),
    # the model tab: what runs
    "demo": ("The bundled demo model", "自带的演示模型"),
    "about_demo": (
        "A Qwen2.5-Omni of the real architecture with four million parameters, trained on a generated toy world. It shows that everything works; it knows"
        " nothing else, and says so.",
        "它是真正的 Qwen2.5-Omni 架构，只有四百万参数，在生成的玩具世界上训练。它用来说明一切都能工作；别的它不知道，也会直说。",
    ),
    "about_running": ("Running on {device}. ", "运行于{device}。"),
    "about_unloaded": ("It is not in memory now. The next question loads it again.", "它现在不在内存中，下次提问时会重新加载。"),
    "about_speech": ("It can answer aloud; its voices are {voices}.", "可以语音回答，声音有：{voices}。"),
    "unload": ("Unload now", "立即卸载"),
    "cancel": ("Cancel", "取消"),
    "bytes_done": ("{done} of {total}", "{done} / {total}"),
    "time_left": (", {time} left", "，剩余 {time}"),
    "gauge_device": ("Graphics memory", "显存"),
    "gauge_host": ("Memory", "内存"),
    "gauge_now": ("{used} GiB now", "现在 {used} GiB"),
    "gauge_peak": ("{peak} at most so far", "最高 {peak}"),
    "gauge_total": ("{total} in all", "共 {total}"),
    "gauge_budget": ("{budget} of {total} may be used", "可用 {budget} / {total}"),
    # the model tab: a plan
    "plan_running": ("How it is arranged in memory, and why", "内存如何安排，以及原因"),
    "plan_of": ("The plan for {model}", "{model} 的方案"),
    "plan_fits": ("It fits.", "放得下。"),
    "plan_too_large": ("It does not fit.", "放不下。"),
    "plan_peak": ("{needed} of {budget} GiB at the worst moment", "最高 {needed} / {budget} GiB"),
    "plan_asked": (
        "For a question with a large picture and a minute of video, answered aloud where the model speaks.",
        "按一张大图片加一分钟视频的问题计算；能说话的模型含语音回答。",
    ),
    "plan_limits": ("What it takes in", "能接收多少"),
    "plan_why": ("Why", "原因"),
    "limits": (
        "Pictures up to {pixels} pixels and {side} along a side, {frames} frames of a video, {seconds} seconds of sound, conversations of {context} tokens."
        " What is larger is made smaller.",
        "图片最多 {pixels} 像素、边长 {side}，视频最多 {frames} 帧，声音最长 {seconds} 秒，对话最多 {context} 个 token。超出的会缩小。",
    ),
    "column_part": ("Part", "部分"),
    "column_size": ("Size", "大小"),
    "column_precision": ("Precision", "精度"),
    "column_place": ("Where it is", "位置"),
    "part_embed_tokens": ("Word table", "词表"),
    "part_language_model": ("Language layers", "语言层"),
    "part_lm_head": ("Output layer", "输出层"),
    "part_visual": ("Eyes (vision tower)", "眼睛（视觉编码器）"),
    "part_audio_tower": ("Ears (audio tower)", "耳朵（音频编码器）"),
    "part_talker": ("Speech (talker)", "说话（talker）"),
    "part_token2wav": ("Voice (token2wav)", "发声（token2wav）"),
    "precision_stored": ("as stored", "原精度"),
    "precision_int8": ("8 bits", "8 位"),
    "precision_nf4": ("4 bits (NF4)", "4 位（NF4）"),
    "place_memory": ("in memory", "内存"),
    "place_device": ("on the graphics card", "显卡"),
    "place_moved": ("in memory, on the card while at work", "内存，工作时进显卡"),
    "place_host": ("in memory, the processor computes", "内存，由处理器计算"),
    "place_rows": ("in memory, its rows go to the card", "内存，用到的行送进显卡"),
    # the model tab: another model
    "choosing": (
        "### Another model\nIt stays until the desk ends. To start with it every time, write `MODEL_PATH=` and its name or folder into `.env` beside `app.py`.",
        "### 换一个模型\n在本程序结束前有效。要每次都用它启动，请在 `app.py` 旁边的 `.env` 里写上 `MODEL_PATH=` 加它的名称或文件夹。",
    ),
    "kind": ("Which model", "哪个模型"),
    "kind_demo": ("The demo model", "演示模型"),
    "kind_3b": ("Qwen2.5-Omni-3B", "Qwen2.5-Omni-3B"),
    "kind_7b": ("Qwen2.5-Omni-7B", "Qwen2.5-Omni-7B"),
    "kind_folder": ("A folder on this computer", "本机上的文件夹"),
    "kind_name": ("Another name at a hub", "其他模型名称"),
    "folder": ("Folder", "文件夹"),
    "folder_info": ("The one that holds config.json and the weights", "存放 config.json 和权重的文件夹"),
    "name": ("Name", "名称"),
    "name_info": ("As the hub writes it: owner/model", "按网站上的写法：所有者/模型"),
    "hub": ("Downloaded from", "下载来源"),
    "look": ("Show the plan", "查看方案"),
    "planning": ("Working out the plan …", "正在计算方案……"),
    "asking_hub": ("Asking {hub} how large the download is …", "正在向 {hub} 查询下载大小……"),
    "plan_later": ("Its memory plan can be made once it is here.", "下载之后才能计算内存方案。"),
    "load": ("Load", "加载"),
    "load_anyway": ("Load anyway", "仍然加载"),
    "download": ("Download", "下载"),
    "download_offer": (
        "{model} is not on this computer yet: {left} of {total} are to be fetched, and {free} are free on the disk.",
        "本机还没有 {model}：共 {total}，还需下载 {left}，磁盘剩余 {free}。",
    ),
    "downloading": ("Downloading {model}", "正在下载 {model}"),
    "download_done": ("{model} is here. Show its plan to load it.", "{model} 已下载完成。查看方案后即可加载。"),
    "download_cancelled": (
        "The download of {model} was stopped at {done} of {total}. It goes on from there when you download it again.",
        "{model} 的下载已停止（{done} / {total}）。再次下载时会从这里继续。",
    ),
    "owners_only": ("Models are chosen on the computer that the desk runs on.", "只能在运行本程序的电脑上选择模型。"),
    # what a question would take
    "detail": ("Pictures are looked at", "看图的细致程度"),
    "detail_info": ("Closely reads fine print, and takes more memory and time", "“仔细”能看清小字，但更占内存、更慢"),
    "detail_auto": ("As usual", "一般"),
    "detail_fine": ("Closely (fine print)", "仔细（小字）"),
    "detail_fast": ("Quickly", "快速"),
    "estimate": ("About {tokens} tokens · {used} of {budget} GiB", "约 {tokens} 个 token · {used} / {budget} GiB"),
    "estimate_less": (
        "About {tokens} tokens · would take {used} of {budget} GiB, so it will be answered with less: smaller pictures, and more slowly.",
        "约 {tokens} 个 token · 需要 {used} / {budget} GiB，超出预算：将缩小图片、放慢速度来回答。",
    ),
    **LIBRARY_PHRASES,
}


def phrase(name: str, language: str, /, **facts: object) -> str:
    """The text in `language` ('en' or 'zh'), its {slots} filled."""
    return PHRASES[name][language == "zh"].format(**facts) if facts else PHRASES[name][language == "zh"]
