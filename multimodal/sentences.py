"""What can go wrong by a person's doing, each as one sentence in their language that says what is wrong and what to do."""

from __future__ import annotations

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
        "{path} 处的模型需要 {needed}（另需内存 {host}），而可用的只有 {budget}：请换更小的模型、关闭其他程序，"
        "或在模型页选择仍然加载（LOAD_ANYWAY=true）。",
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
        "The request could not be read ({reason}): send a form or JSON as the documentation shows.",
        "无法读取请求（{reason}）：请按文档发送表单或 JSON。",
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
    "picture_no_memory": (
        507,
        "Memory does not suffice to read {name}: close other programs, then look again.",
        "内存不足，无法读取 {name}：请关闭其他程序后重新扫描。",
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
    # the picture library
    "library_closed": (503, "The picture library is being opened: try again in a moment.", "图片库正在打开：请稍后再试。"),
    "library_read_only": (
        409,
        "The picture library can only be read now: close the other Omni Desk that has it open, or make its folder writable,"
        " and start again.",
        "图片库现在只能读取：请关闭正在使用它的另一个 Omni Desk，或让其文件夹可写，然后重新启动。",
    ),
    "library_busy": (
        503,
        "The picture library is being written to by another program: try again in a moment.",
        "另一个程序正在写入图片库：请稍后再试。",
    ),
    "library_newer": (
        503,
        "The picture library {path} was made by a newer Omni Desk: update this one, or set DATA_DIR to another folder.",
        "图片库 {path} 由更新版本的 Omni Desk 创建：请更新本程序，或把 DATA_DIR 设为其他文件夹。",
    ),
    "library_older": (
        503,
        "The picture library {path} is of an older Omni Desk and cannot be written to: make its folder writable and start again.",
        "图片库 {path} 来自旧版本且无法写入：请让其文件夹可写，然后重新启动。",
    ),
    "library_broken": (
        503,
        "The picture library {path} is damaged ({reason}): move it away, or put a copy in its place, and start again.",
        "图片库 {path} 已损坏（{reason}）：请将其移走或用备份替换，然后重新启动。",
    ),
    "library_disk_full": (
        507,
        "The disk of {path} is full: make room, then go on; nothing was lost.",
        "{path} 所在的磁盘已满：请腾出空间后继续，已有内容没有丢失。",
    ),
    "library_disk_refuses": (
        507,
        "The disk of {path} does not let the picture library write ({reason}): check its permissions, or set DATA_DIR to another folder.",
        "无法写入 {path} 处的图片库（{reason}）：请检查权限，或把 DATA_DIR 设为其他文件夹。",
    ),
    "library_not_shared": (
        403,
        "The picture library is for the computer that the desk runs on: use it there, or set SHARE_LIBRARY=true.",
        "图片库只供运行本程序的电脑使用：请在该电脑上操作，或设置 SHARE_LIBRARY=true。",
    ),
    "encoder_loading": (
        503,
        "The picture library's encoder is still loading: try again in a moment.",
        "图片库的编码器还在加载：请稍后再试。",
    ),
    "encoder_not_found": (
        503,
        "There is no picture-search model at {path}: choose a folder that holds one, or download one on the model page.",
        "在 {path} 找不到图片检索模型：请选择含有模型的文件夹，或在模型页下载一个。",
    ),
    "encoder_not_fetched": (
        503,
        "There is no folder {path}, and no picture-search model of that name could be fetched ({reason}): check the name and the"
        " connection, or download one on the model page.",
        "没有名为 {path} 的文件夹，也无法获取同名的图片检索模型（{reason}）：请检查名称和网络连接，或在模型页下载一个。",
    ),
    "encoder_unknown": (
        503,
        "The model at {path} is of the kind {kind}, which cannot search pictures: choose one of the kinds {wanted}.",
        "{path} 处的模型类型是 {kind}，不能用于图片检索：请选择以下类型之一：{wanted}。",
    ),
    "encoder_broken": (
        503,
        "The encoder at {path} could not be loaded ({reason}): download it again, or choose another CLIP_MODEL.",
        "无法加载 {path} 处的编码器（{reason}）：请重新下载，或换一个 CLIP_MODEL。",
    ),
    "no_cross_model": (
        503,
        "There is no cross-attention model to look twice with: set CROSS_MODEL to a folder that holds one, or to a hub name such as"
        " Salesforce/blip-itm-base-coco.",
        "没有用于重新排序的交叉注意力模型：请把 CROSS_MODEL 设为含有模型的文件夹，或 Salesforce/blip-itm-base-coco 这样的名称。",
    ),
    "cross_loading": (
        503,
        "The cross-attention model is still loading: try again in a moment.",
        "交叉注意力模型还在加载：请稍后再试。",
    ),
    "cross_not_found": (
        503,
        "There is no cross-attention model at {path}: set CROSS_MODEL to a folder that holds one, or to a hub name.",
        "在 {path} 找不到交叉注意力模型：请把 CROSS_MODEL 设为含有模型的文件夹或模型名称。",
    ),
    "cross_not_fetched": (
        503,
        "There is no folder {path}, and no cross-attention model of that name could be fetched ({reason}): check CROSS_MODEL and the"
        " connection, then start again.",
        "没有名为 {path} 的文件夹，也无法获取同名的交叉注意力模型（{reason}）：请检查 CROSS_MODEL 和网络连接，然后重新启动。",
    ),
    "cross_unknown": (
        503,
        "The model at {path} is of the kind {kind}, which does not judge words and pictures together: set CROSS_MODEL to one of the kind"
        " {wanted}.",
        "{path} 处的模型类型是 {kind}，不能同时判断文字和图片：请把 CROSS_MODEL 设为 {wanted} 类型的模型。",
    ),
    "cross_broken": (
        503,
        "The cross-attention model at {path} could not be loaded ({reason}): download it again, or choose another CROSS_MODEL.",
        "无法加载 {path} 处的交叉注意力模型（{reason}）：请重新下载，或换一个 CROSS_MODEL。",
    ),
    "search_empty": (
        400,
        "There is nothing to search for: type words, give a picture, or set a filter.",
        "没有搜索内容：请输入文字、给出图片或设置筛选。",
    ),
    "search_only_minus": (
        400,
        "The search only takes away: say also what the pictures should show.",
        "搜索里只有排除的内容：请同时写出图片里应有的内容。",
    ),
    "search_too_long": (
        400,
        "The search has {count} characters and the limit is {limit}: say it shorter.",
        "搜索内容有 {count} 个字符，上限是 {limit}：请缩短。",
    ),
    "search_terms": (
        400,
        "The search has {count} parts and the limit is {limit}: leave some out.",
        "搜索有 {count} 个部分，上限是 {limit}：请减少。",
    ),
    "search_count": (400, "{count} pictures cannot be asked for: ask for 1 to {limit}.", "不能一次要 {count} 张图片：请填 1 到 {limit}。"),
    "search_sort": (400, "Pictures cannot be sorted by {sort}: choose one of {sorts}.", "不能按 {sort} 排序：请选择 {sorts} 之一。"),
    "search_threshold": (
        400,
        "The threshold cannot be {value}: it takes a number from -1 to 1.",
        "阈值不能是 {value}：应为 -1 到 1 之间的数。",
    ),
    "bad_date": (
        400,
        "{value!r} is no date: write it as 2024-05-31, 2024-05 or 2024.",
        "{value!r} 不是日期：请写成 2024-05-31、2024-05 或 2024。",
    ),
    "labels_words": (
        400,
        "{count} labels were given: give 1 to {limit}, with commas between them, of at most {longest} characters each.",
        "给出了 {count} 个标签：请给出 1 到 {limit} 个，用逗号分隔，每个最多 {longest} 个字符。",
    ),
    "folder_missing": (
        404,
        "There is no folder {name}: write the path of one that is on this computer.",
        "没有文件夹 {name}：请填写本机上已有文件夹的路径。",
    ),
    "folder_empty": (
        409,
        "There is no picture in the folder {name} although {count} were read in it, and nothing was forgotten: connect its disk,"
        " or take the folder out of the library.",
        "文件夹 {name} 里没有图片，而之前读到过 {count} 张，因此没有忘记任何内容：请连接其所在磁盘，或从图片库移除该文件夹。",
    ),
    "folder_unreadable": (
        403,
        "The folder {name} cannot be looked into ({reason}): change its permissions, then look again.",
        "无法读取文件夹 {name}（{reason}）：请修改其权限后重新扫描。",
    ),
    "file_unreadable": (
        403,
        "{name} cannot be read ({reason}): change its permissions, or bring its disk back, then look again.",
        "无法读取 {name}（{reason}）：请修改其权限或接回所在磁盘，然后重新扫描。",
    ),
    "file_name_unreadable": (
        422,
        "The name of {name} cannot be read as text: give it another name, then look again.",
        "{name} 的文件名无法识别：请重新命名后再扫描。",
    ),
    "library_failed": (
        500,
        "Adding pictures failed ({reason}), which is a fault of this program: go on with Resume; the log has the details.",
        "添加图片时程序出错（{reason}）：请按“继续”，详情见日志。",
    ),
    "library_out_of_memory": (
        507,
        "Memory does not suffice for even one picture at a time: close other programs, or choose a smaller encoder.",
        "内存不足，连一张图片也处理不了：请关闭其他程序，或换更小的编码器。",
    ),
    "picture_waiting": (
        503,
        "Picture {id} cannot be compared yet, as its vector is still being made: try again in a moment.",
        "编号为 {id} 的图片的向量还在计算，暂时不能比较：请稍后再试。",
    ),
    "caption_too_long": (
        400,
        "A caption has {count} characters and the limit is {limit}: say it shorter, or in several lines.",
        "一条说明有 {count} 个字符，上限是 {limit}：请缩短，或分成几行。",
    ),
    "captions_too_many": (
        400,
        "There are {count} captions and the limit for a picture is {limit}: leave some out.",
        "共有 {count} 条说明，每张图片的上限是 {limit} 条：请减少。",
    ),
    "picture_gone": (404, "There is no picture {id} in the library: look it up again.", "图片库里没有编号为 {id} 的图片：请重新查找。"),
    "export_too_large": (
        413,
        "The pictures ({count}) have {size} and there is room for {limit}: choose fewer, or another place.",
        "这 {count} 张图片共 {size}，而可用的只有 {limit}：请减少图片，或换一个位置。",
    ),
    "export_refused": (
        507,
        "{path} cannot be written ({reason}): choose another place.",
        "无法写入 {path}（{reason}）：请换一个位置。",
    ),
    "folder_unknown": (
        404,
        "The folder {path} was not added to the picture library: look it up in the list of folders.",
        "文件夹 {path} 没有添加到图片库：请查看文件夹列表。",
    ),
    "removal_gone": (
        404,
        "There is nothing to bring back under the number {number}: look it up again.",
        "编号 {number} 下没有可恢复的图片：请重新查找。",
    ),
    "request_failed": (
        500,
        "The request could not be carried out ({reason}): try again; the log on the computer says more.",
        "请求没能完成（{reason}）：请重试，电脑上的日志里有更多信息。",
    ),
    "original_gone": (
        404,
        "The file of {name} is not where it was: bring it back, or add its folder again.",
        "{name} 的文件已不在原处：请放回原处，或重新添加其文件夹。",
    ),
    # data sets for training
    "set_not_found": (
        404,
        "There is no data set at {path}: write the path of a folder or file that is on this computer.",
        "{path} 处没有数据集：请填写本机上已有文件夹或文件的路径。",
    ),
    "set_unknown": (
        422,
        "No captions in a known form were found at {path}: give a folder with Flickr8k.token.txt, captions.txt, captions.csv,"
        " captions_train2017.json, dataset_*.json or one .jsonl file, or give such a file itself.",
        "{path} 处没有已知格式的图片描述：请给出含 Flickr8k.token.txt、captions.txt、captions.csv、captions_train2017.json、"
        "dataset_*.json 或一个 .jsonl 文件的文件夹，或直接给出这样的文件。",
    ),
    "set_ambiguous": (
        422,
        "Captions lie in several places of {path} ({names}): give the path of one of these files.",
        "{path} 里有多份图片描述（{names}）：请给出其中一个文件的路径。",
    ),
    "set_not_text": (
        422,
        "{path} is no text in UTF-8 from line {line} on: save it as UTF-8.",
        "{path} 从第 {line} 行起不是 UTF-8 文本：请另存为 UTF-8。",
    ),
    "set_not_json": (
        422,
        "{path} is no JSON at line {line}: mend it, or download it again.",
        "{path} 的第 {line} 行不是 JSON：请修正，或重新下载。",
    ),
    "set_columns": (
        422,
        "The first line of {path} does not name the columns: write image,caption there, and split if there is such a column.",
        "{path} 的第一行没有列名：请写上 image,caption，如有划分列再加 split。",
    ),
    "set_empty": (
        422,
        "The data set at {path} has no picture with a caption that can be used ({problem}): bring pictures and captions together first.",
        "{path} 处的数据集没有可用的带描述的图片（{problem}）：请先让图片和描述对应起来。",
    ),
    "matplotlib_missing": (
        503,
        "Plots are drawn with matplotlib, which is not installed: run pip install matplotlib, or ask for no plot.",
        "绘图需要 matplotlib，但没有安装：请运行 pip install matplotlib，或不要求绘图。",
    ),
    # training
    "training_there": (
        409,
        "There is a training in {path} already: go on with it by --resume, or choose another --output.",
        "{path} 中已有一次训练：请用 --resume 继续，或换一个 --output。",
    ),
    "training_other": (
        409,
        "The training in {path} was begun otherwise ({what}): begin it as it was, or choose another --output.",
        "{path} 中的训练使用了不同的设置（{what}）：请沿用原来的设置，或换一个 --output。",
    ),
    "training_disk": (
        507,
        "{path} cannot be written ({reason}): make room there, and go on by --resume; the last checkpoint is kept.",
        "无法写入 {path}（{reason}）：请腾出空间，然后用 --resume 继续；最后一个检查点已保留。",
    ),
    "training_nan": (
        500,
        "The loss of step {step} is no number any more: begin anew with a lower --lr; the last good checkpoint is kept.",
        "第 {step} 步的损失已不是数值：请用更小的 --lr 重新开始；最后一个正常的检查点已保留。",
    ),
    "training_out_of_memory": (
        507,
        "Memory ran out with {piece} pictures at once: choose a smaller --piece, which changes nothing that a batch of {batch} teaches.",
        "同时计算 {piece} 张图片时内存不足：请减小 --piece，批大小 {batch} 的学习效果不变。",
    ),
    "training_batch_too_large": (
        507,
        "Memory ran out with {batch} pairs at once: choose a smaller --batch_size, and a larger --accumulate, which teaches the same.",
        "同时计算 {batch} 对图文时内存不足：请减小 --batch_size 并增大 --accumulate，学习效果不变。",
    ),
    "training_all_alike": (
        422,
        "All pictures to train with have the same captions: write captions that tell them apart.",
        "所有用于训练的图片描述都相同：请写出能区分它们的描述。",
    ),
    "training_too_few": (
        422,
        "The data set has {count} pictures to train with, and {least} are the least: add pictures with captions.",
        "数据集只有 {count} 张用于训练的图片，至少需要 {least} 张：请添加带描述的图片。",
    ),
    "training_no_pictures": (
        422,
        "None of the pictures of the data set can be opened: look at it with `train check --deep`.",
        "数据集中没有一张图片可以打开：请用 `train check --deep` 查看。",
    ),
    "backbone_unknown": (
        422,
        "{path} is a {kind}, which cannot be a tower of a dual encoder: choose a model with one hidden_size, such as a ViT or a BERT.",
        "{path} 是 {kind}，不能用作双编码器的一部分：请选择具有单一 hidden_size 的模型，如 ViT 或 BERT。",
    ),
    "dual_missing": (
        422,
        "Re-ranking puts the best of a dual encoder in order: name its folder by --dual.",
        "重新排序针对双编码器的最佳结果：请用 --dual 指定其文件夹。",
    ),
    "option_not_for": (
        422,
        "{option} is not for --model_type {kind}: leave it out.",
        "--model_type {kind} 不使用 {option}：请去掉它。",
    ),
    "split_empty": (
        422,
        "The data set in {path} has no pictures to {split} with: choose another --split, or see `train check`.",
        "{path} 的数据集没有 {split} 部分的图片：请换一个 --split，或用 `train check` 查看。",
    ),
}
