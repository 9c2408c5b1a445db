"""What can be wrong with lines and files of a data set, said in one sentence in English and Chinese."""

from __future__ import annotations

from multimodal.training.captioned import Problem

# code: English, Chinese
SENTENCES = {
    "line_unreadable": ("Lines or entries that cannot be understood: {count}.", "有 {count} 行（条）内容无法识别。"),
    "path_outside": ("Pictures that are said to lie outside the data set: {count}.", "有 {count} 张图片的路径在数据集之外。"),
    "picture_missing": ("Pictures that are not there: {count}.", "有 {count} 张图片不存在。"),
    "picture_broken": ("Pictures that cannot be opened: {count}.", "有 {count} 张图片无法打开。"),
    "caption_missing": ("Pictures without a caption: {count}.", "有 {count} 张图片没有描述。"),
    "caption_empty": ("Empty captions: {count}.", "有 {count} 条描述为空。"),
    "caption_long": ("Captions that are too long: {count}.", "有 {count} 条描述过长。"),
    "caption_twice": ("Captions that a picture has already: {count}.", "有 {count} 条描述与同一图片的其他描述重复。"),
    "split_unknown": ("Lines or entries of an unknown split: {count}.", "有 {count} 行（条）的划分名称无法识别。"),
    "split_twice": ("Pictures named in two splits, and kept in the first: {count}.", "有 {count} 张图片出现在两个划分中，只保留第一个。"),
    "split_missing": ("Pictures without a split, where others have one: {count}.", "有 {count} 张图片没有划分，而其他图片有。"),
}


def say(problem: Problem, language: str) -> str:
    """The sentence in `language` ('en' or 'zh')."""
    return SENTENCES[problem.code][language == "zh"].format(count=problem.count)
