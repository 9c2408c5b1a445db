"""What the commands say besides errors, in both languages."""

from __future__ import annotations

import locale
import os

PHRASES: dict[str, tuple[str, str]] = {
    "scanning": ("looking at {name} …", "正在查看 {name}……"),
    "filling": ("Vectors that are missing", "缺少的向量"),
    "files": ("Files", "文件"),
    "running": ("{name}: {done} of {total}, {rate} a second", "{name}：{done} / {total}，每秒 {rate} 个"),
    "left": (", {left} left", "，还需 {left}"),
    "added": (
        "Added or read anew: {added}; unchanged: {unchanged}; not to be taken: {failed}.",
        "新增或重新读取 {added} 个，未变 {unchanged} 个，无法添加 {failed} 个。",
    ),
    "broken_off": ("Broken off; what was added is kept.", "已中断，已添加的内容会保留。"),
    "nothing": (
        "Nothing here matches: the nearest is at {nearest}, and {threshold} is asked for (--threshold).",
        "没有匹配的图片：最接近的为 {nearest}，要求至少 {threshold}（--threshold）。",
    ),
    "nothing_at_all": ("Nothing here matches.", "没有匹配的图片。"),
    "waiting_vectors": (
        "Pictures that have no vector of this encoder yet and are not found: {count}; library check --repair makes them.",
        "有 {count} 张图片还没有这个编码器的向量，暂时搜不到：可用 library check --repair 计算。",
    ),
    "pictures": ("Pictures: {count}", "共 {count} 张图片"),
    "removed": (
        "Taken out: {removed}; no file of yours was touched. To bring them back: library undo {undo}",
        "已移出 {removed} 张，您的文件没有改动。恢复：library undo {undo}",
    ),
    "restored": ("Brought back: {count}.", "已恢复 {count} 张。"),
    "group": ("{count} alike:", "{count} 张相似："),
    "no_duplicates": ("No duplicates.", "没有重复的图片。"),
    "best": ("the best", "最佳"),
    "watched": ("watched", "监视中"),
    "no_captions": ("no captions", "没有说明"),
    "exported": ("Pictures in {path}: {count}.", "{count} 张图片已写入 {path}。"),
    "sound": ("All is sound. Pictures: {count}.", "{count} 张图片：一切正常。"),
}


def phrase(name: str, language: str, /, **facts: object) -> str:
    """What is called `name` in 'en' or 'zh', with its facts."""
    return PHRASES[name][language == "zh"].format_map(facts)


def language_of(setting: str) -> str:
    """'en' or 'zh': the setting, or with 'auto' what the terminal is set to."""
    if setting != "auto":
        return setting
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), None)
    said = said or locale.getlocale()[0] or ""
    return "zh" if said.lower().startswith(("zh", "chinese")) else "en"
