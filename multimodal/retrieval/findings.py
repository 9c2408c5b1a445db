"""What a check of the library can find, said in one sentence, and what was done about it in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# code: what was found, in English and Chinese; what mended it, in English and Chinese, empty where nothing does
SENTENCES = {
    "store_damaged": (
        "The store is damaged ({reason}): put a copy of library.db in its place.",
        "数据库已损坏（{reason}）：请用备份的 library.db 替换。",
        "",
        "",
    ),
    "words_wrong": (
        "Pictures whose words are not found as their names and captions say: {count}.",
        "有 {count} 张图片的文字索引与名称和说明不一致。",
        "They were written anew.",
        "已重新写入。",
    ),
    "folder_away": (
        "The folder {path} is not there, or empty (files that are known in it: {count}): connect its disk, or drop the folder.",
        "文件夹 {path} 不存在或为空（其中已知 {count} 个文件）：请连接其所在磁盘，或移除该文件夹。",
        "",
        "",
    ),
    "files_gone": (
        "Files that are not where they were: {count}, such as {path}.",
        "有 {count} 个文件不在原处，例如 {path}。",
        "They were forgotten; a picture without any file is left out until one turns up.",
        "已将其忘记；没有任何文件的图片暂不列出，待文件再次出现。",
    ),
    "copies_damaged": (
        "The library's own copies that have changed: {count}, such as {path}; put their backups in their place, or add the pictures again.",
        "图片库自存的文件有 {count} 个已改变，例如 {path}：请用备份替换，或重新添加这些图片。",
        "",
        "",
    ),
    "copies_unnamed": (
        "The library's own copies that it does not know: {count} ({size}). They may be the only ones: add the pictures in {path} again,"
        " or take away what nobody needs.",
        "图片库自存的文件中有 {count} 个未被登记（{size}），它们可能是仅存的副本：请重新添加 {path} 里的图片，或删除不需要的文件。",
        "",
        "",
    ),
    "left_over": (
        "Files in the library's folder that belong to no picture: {count} ({size}).",
        "图片库文件夹里有 {count} 个文件不属于任何图片（{size}）。",
        "They were taken away.",
        "已清除。",
    ),
    "vectors_wrong": (
        "Vectors of {space} that are damaged, or belong to nothing: {count}.",
        "{space} 有 {count} 个向量已损坏或无所属。",
        "They were taken out; the encoder makes those that are missing.",
        "已移除；缺少的将由编码器重新计算。",
    ),
    "vectors_missing": (
        "Pictures and captions without a vector of the encoder {encoder}, so that it does not find them: {count}.",
        "有 {count} 条图片和说明还没有编码器 {encoder} 的向量，因此搜不到。",
        "The vectors were made.",
        "已计算这些向量。",
    ),
    "vectors_unchecked": (
        "Whether vectors are missing could not be seen ({reason}).",
        "无法检查是否缺少向量（{reason}）。",
        "",
        "",
    ),
    "index_wrong": (
        "The index of {kind} vectors of {space} does not agree with the store ({reason}).",
        "{space} 的{kind}向量索引与数据库不一致（{reason}）。",
        "It was made anew.",
        "已重建。",
    ),
}
KINDS = {"picture": ("picture", "图片"), "caption": ("caption", "说明")}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `facts` fill its sentence, a pair being (English, Chinese). `mended`: it is not any more."""

    code: str
    facts: Mapping[str, object]
    mended: bool = False

    def say(self, language: str) -> str:
        """What was found, and what was done, in 'en' or 'zh'."""
        chinese = language == "zh"
        facts = {name: fact[chinese] if isinstance(fact, tuple) else fact for name, fact in self.facts.items()}
        found, mended = SENTENCES[self.code][chinese].format_map(facts), SENTENCES[self.code][2 + chinese]
        return f"{found}{'' if chinese else ' '}{mended}" if self.mended else found

    def as_json(self, language: str) -> dict[str, object]:
        """For programs."""
        return {"code": self.code, "message": self.say(language), "mended": self.mended}
