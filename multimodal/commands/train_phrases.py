"""What the commands below `train` say besides errors, in both languages."""

from __future__ import annotations

TRAIN_PHRASES: dict[str, tuple[str, str]] = {
    "flickr8k": ("Flickr8k's own files", "Flickr8k 原始文件"),
    "csv": ("a table (CSV)", "表格（CSV）"),
    "coco": ("COCO captions (JSON)", "COCO 描述（JSON）"),
    "karpathy": ("a split file of Karpathy's (JSON)", "Karpathy 划分文件（JSON）"),
    "jsonl": ("lines of JSON (JSONL)", "逐行 JSON（JSONL）"),
    "form": ("Form: {form}", "格式：{form}"),
    "split": ("{split}: pictures {pictures}, captions {captions}", "{split}：{pictures} 张图片，{captions} 条描述"),
    "cjk": (
        "Captions with Chinese, Japanese or Korean characters: {share:.0%}",
        "含中日韩文字的描述：{share:.0%}",
    ),
    "lengths": (
        "Characters of a caption: {least} to {most}, half of them up to {median}, 95 % up to {most_of_them}",
        "描述的字符数：{least} 到 {most}，半数不超过 {median}，95 % 不超过 {most_of_them}",
    ),
    "sides": (
        "Shorter side of a picture in pixels: {least} to {most}, half of them up to {median}, 95 % up to {most_of_them}",
        "图片短边的像素数：{least} 到 {most}，半数不超过 {median}，95 % 不超过 {most_of_them}",
    ),
    "more": ("and {count} more", "另有 {count} 处"),
    "running": ("{what}: {done} of {total}, {rate} a second, {left} left", "{what}：{done} / {total}，每秒 {rate} 个，还需 {left}"),
    "opening": ("Opening pictures", "正在打开图片"),
    "step": (
        "Epoch {epoch} of {epochs}, step {step} of {steps}, loss {loss}, {left} left",
        "第 {epoch} / {epochs} 轮，第 {step} / {steps} 步，损失 {loss}，还需 {left}",
    ),
    "judged": (
        "Epoch {epoch}: words to pictures R@1 {t2i}, picture to captions R@1 {i2t}",
        "第 {epoch} 轮：文搜图 R@1 {t2i}，图搜文 R@1 {i2t}",
    ),
    "trained": (
        "Done: {path}. Search with it by CLIP_MODEL={path}",
        "完成：{path}。设置 CLIP_MODEL={path} 即可用它搜索",
    ),
    "told_apart": (
        "Epoch {epoch}: {accuracy} % of pairs told apart",
        "第 {epoch} 轮：{accuracy} % 的图文对判断正确",
    ),
    "trained_cross": (
        "Done: {path}. Put the best of a search in order by CROSS_MODEL={path}, measure it by `evaluate --model_type cross`",
        "完成：{path}。设置 CROSS_MODEL={path} 即可用它重新排序搜索结果；用 `evaluate --model_type cross` 查看效果",
    ),
    "judging": ("Judging pictures", "正在判断图片"),
    "swept": (
        "{pictures} pictures, {captions} captions; K of the dual encoder's best are put in order (0: none), ms are of one query",
        "{pictures} 张图片，{captions} 条描述；对双编码器的前 K 个结果重新排序（0：不排序），ms 为单次查询的毫秒数",
    ),
    "broken_off": ("Broken off; --resume goes on after the last whole epoch.", "已中断；用 --resume 从最后一个完整的轮次继续。"),
    "encoding": ("Encoding pictures", "正在编码图片"),
    "t2i": ("words to pictures", "文搜图"),
    "i2t": ("picture to captions", "图搜文"),
    "evaluated": (
        "{pictures} pictures, {captions} captions; {milliseconds} ms a query in words",
        "{pictures} 张图片，{captions} 条描述；每次文字查询 {milliseconds} 毫秒",
    ),
    "drawn": ("Drawn: {path}", "已绘制：{path}"),
}


def train_phrase(name: str, language: str, **facts: object) -> str:
    """What is called `name` in 'en' or 'zh', with its facts."""
    return TRAIN_PHRASES[name][language == "zh"].format_map(facts)
