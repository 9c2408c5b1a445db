"""The words of the toy world in both languages: names of things, wordings of questions, forms of answers."""

from __future__ import annotations

COLOUR_NAMES = {
    "en": {name: name for name in ("red", "orange", "yellow", "green", "blue", "purple", "black", "white")},
    "zh": {
        "red": "红色",
        "orange": "橙色",
        "yellow": "黄色",
        "green": "绿色",
        "blue": "蓝色",
        "purple": "紫色",
        "black": "黑色",
        "white": "白色",
    },
}
SHAPE_NAMES = {
    "en": {"circle": "circle", "square": "square", "triangle": "triangle", "star": "star"},
    "zh": {"circle": "圆形", "square": "方形", "triangle": "三角形", "star": "星形"},
}
NUMBER_NAMES = {
    "en": dict(enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)),
    "zh": dict(enumerate("一二三四五六七八九", 1)),
}
DIRECTION_NAMES = {
    "en": {"left": "To the left.", "right": "To the right.", "up": "Upwards.", "down": "Downwards."},
    "zh": {"left": "向左。", "right": "向右。", "up": "向上。", "down": "向下。"},
}
PLACES = ("left", "right", "top", "bottom")

# One list of wordings a question and language; {shape} and {colour} are filled in.
QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "colour": {
        "en": (
            "What colour is it?",
            "What color is it?",
            "Which colour do you see?",
            "What colour is in the picture?",
            "What color are they?",
        ),
        "zh": ("什么颜色？", "是什么颜色？", "这是什么颜色的？", "图里是什么颜色？", "你看到什么颜色？"),
    },
    "shape": {
        "en": (
            "What shape is it?",
            "Which shape do you see?",
            "What shape is in the picture?",
            "What is the shape?",
            "What shape are they?",
        ),
        "zh": ("什么形状？", "是什么形状？", "这是什么形状的？", "图里是什么形状？", "你看到什么形状？"),
    },
    "number": {
        "en": (
            "How many are there?",
            "How many shapes are there?",
            "How many shapes do you see?",
            "How many things are in the picture?",
            "Count the shapes.",
        ),
        "zh": ("有几个？", "有多少个图形？", "图里有几个图形？", "一共有几个？", "数一数有几个。"),
    },
    "left": {
        "en": ("What is on the left?", "What is to the left?", "What do you see on the left?"),
        "zh": ("左边是什么？", "左边有什么？", "左侧是什么？"),
    },
    "right": {
        "en": ("What is on the right?", "What is to the right?", "What do you see on the right?"),
        "zh": ("右边是什么？", "右边有什么？", "右侧是什么？"),
    },
    "top": {
        "en": ("What is above?", "What is at the top?", "What do you see at the top?"),
        "zh": ("上面是什么？", "上面有什么？", "上方是什么？"),
    },
    "bottom": {
        "en": ("What is below?", "What is at the bottom?", "What do you see at the bottom?"),
        "zh": ("下面是什么？", "下面有什么？", "下方是什么？"),
    },
    "left of": {
        "en": ("What is to the left of the {shape}?", "What is left of the {shape}?"),
        "zh": ("{shape}的左边是什么？", "{shape}左边有什么？"),
    },
    "right of": {
        "en": ("What is to the right of the {shape}?", "What is right of the {shape}?"),
        "zh": ("{shape}的右边是什么？", "{shape}右边有什么？"),
    },
    "above": {"en": ("What is above the {shape}?", "What is over the {shape}?"), "zh": ("{shape}的上面是什么？", "{shape}上面有什么？")},
    "below": {"en": ("What is below the {shape}?", "What is under the {shape}?"), "zh": ("{shape}的下面是什么？", "{shape}下面有什么？")},
    "colour of": {
        "en": ("What colour is the {shape}?", "What color is the {shape}?"),
        "zh": ("{shape}是什么颜色？", "{shape}是什么颜色的？"),
    },
    "is there colour": {
        "en": ("Is there something {colour}?", "Is there anything {colour}?"),
        "zh": ("有{colour}的东西吗？", "图里有{colour}吗？"),
    },
    "is there shape": {"en": ("Is there a {shape}?", "Do you see a {shape}?"), "zh": ("有{shape}吗？", "图里有{shape}吗？")},
    "is there": {
        "en": ("Is there a {colour} {shape}?", "Do you see a {colour} {shape}?"),
        "zh": ("有{colour}的{shape}吗？", "图里有{colour}的{shape}吗？"),
    },
    "describe": {
        "en": ("Describe the picture.", "Describe it.", "What do you see?", "What is in the picture?", "What is this?"),
        "zh": ("描述一下这张图片。", "描述一下。", "你看到了什么？", "图里有什么？", "这是什么？"),
    },
    "said": {
        "en": ("What is said?", "What do you hear?", "What does the voice say?", "Which word is spoken?", "What was said?"),
        "zh": ("说了什么？", "你听到了什么？", "录音里说的是什么？", "说的是什么词？", "听到什么？"),
    },
    "beeps": {
        "en": ("How many beeps are there?", "How many beeps do you hear?", "Count the beeps.", "How many tones are there?"),
        "zh": ("有几声？", "响了几声？", "有几声哔声？", "数一数有几声。"),
    },
    "motion": {
        "en": ("Which way does it move?", "Where does it move?", "In which direction does it move?", "Which direction is it going?"),
        "zh": ("它往哪边移动？", "它向哪里移动？", "往哪个方向移动？", "它朝哪个方向动？"),
    },
    "who": {"en": ("Who are you?", "What are you?", "What is your name?"), "zh": ("你是谁？", "你叫什么名字？", "你是什么？")},
    "can": {
        "en": ("What can you do?", "What do you know?", "How can you help me?", "Help"),
        "zh": ("你能做什么？", "你会什么？", "你能帮我什么？", "帮助"),
    },
    "hello": {"en": ("Hello", "Hi", "Hello!", "Good morning"), "zh": ("你好", "您好", "你好！", "早上好")},
    "thanks": {"en": ("Thank you", "Thanks!", "Thank you!"), "zh": ("谢谢", "谢谢你", "谢谢！")},
}

PICTURE_QUESTIONS = (
    "colour",
    "shape",
    "number",
    "left",
    "right",
    "top",
    "bottom",
    "left of",
    "right of",
    "above",
    "below",
    "colour of",
    "is there colour",
    "is there shape",
    "is there",
    "describe",
)
# Spoken questions keep to one or two wordings each: a small ear learns them from few voices.
SPOKEN_PICTURE_QUESTIONS = ("colour", "shape", "number", "left", "right", "top", "bottom", "is there colour", "is there shape", "describe")
SPOKEN_WORDINGS = 2

ANSWERS: dict[str, dict[str, str]] = {
    "who": {
        "en": "I am the small demo model of Omni Desk.",
        "zh": "我是 Omni Desk 的小演示模型。",
    },
    "can": {
        "en": "I can name coloured shapes in pictures, spoken numbers, colours and shapes, count beeps, and say which way a shape moves in a video.",
        "zh": "我能说出图片里图形的颜色和形状，听懂数字、颜色和形状的词，数哔声，还能说出视频里图形往哪边移动。",
    },
    "hello": {"en": "Hello! Show me a picture of shapes, or play me a word.", "zh": "你好！给我看一张图形的图片，或者放一个词给我听。"},
    "thanks": {"en": "You are welcome.", "zh": "不客气。"},
    "elsewhere": {
        "en": "I am only the small demo model: this is outside my little world of shapes, words and beeps.",
        "zh": "我只是小演示模型：这超出了我的小世界，我只认识图形、词语和哔声。",
    },
    "no picture": {"en": "Please add a picture first.", "zh": "请先添加一张图片。"},
    "no sound": {"en": "Please add a recording first.", "zh": "请先添加一段录音。"},
    "no video": {"en": "Please add a video, and send it as frames.", "zh": "请添加一段视频，并选择按帧发送。"},
    "nothing": {"en": "Nothing.", "zh": "没有东西。"},
    "yes": {"en": "Yes.", "zh": "有。"},
    "no": {"en": "No.", "zh": "没有。"},
}

# Words and sentences from outside the world, for learning to decline them, typed and spoken.
OUTSIDE_WORDS = {
    "en": [
        "water",
        "house",
        "river",
        "table",
        "music",
        "winter",
        "doctor",
        "coffee",
        "bread",
        "window",
        "garden",
        "computer",
        "money",
        "school",
        "mountain",
        "island",
        "engine",
        "paper",
        "bottle",
        "brother",
        "sister",
        "morning",
        "evening",
        "happy",
        "sleep",
        "travel",
        "kitchen",
        "letter",
        "number",
        "system",
        "market",
        "holiday",
        "forest",
        "animal",
        "horse",
        "monkey",
        "tiger",
        "elephant",
        "purple-haired",
        "yesterday",
        "tomorrow",
        "weather",
        "rain",
        "snow",
        "lawyer",
        "budget",
        "email",
        "password",
        "python",
        "france",
        "london",
        "president",
        "history",
        "chemistry",
        "poem",
        "story",
        "recipe",
        "song",
        "movie",
        "football",
        "train",
        "ticket",
        "flight",
        "hotel",
        "password",
        "network",
        "battery",
        "camera",
        "phone",
    ],
    "zh": [
        "水",
        "房子",
        "河流",
        "桌子",
        "音乐",
        "冬天",
        "医生",
        "咖啡",
        "面包",
        "窗户",
        "花园",
        "电脑",
        "学校",
        "山",
        "岛",
        "发动机",
        "纸",
        "瓶子",
        "兄弟",
        "姐妹",
        "早晨",
        "晚上",
        "快乐",
        "睡觉",
        "旅行",
        "厨房",
        "信",
        "市场",
        "假期",
        "森林",
        "动物",
        "马",
        "猴子",
        "老虎",
        "大象",
        "昨天",
        "明天",
        "天气",
        "下雨",
        "雪",
        "律师",
        "预算",
        "邮件",
        "密码",
        "法国",
        "北京",
        "总统",
        "历史",
        "化学",
        "诗",
        "故事",
        "菜谱",
        "歌",
        "电影",
        "足球",
        "火车",
        "车票",
        "航班",
        "酒店",
        "网络",
        "电池",
        "相机",
        "手机",
    ],
}
OUTSIDE_SENTENCES = {
    "en": (
        "What is the capital of {}?",
        "Tell me about {}.",
        "Write a poem about {} and {}.",
        "How do I fix my {}?",
        "Explain {} to a child.",
        "Translate {} into French.",
        "Who invented the {}?",
        "Is {} better than {}?",
        "I need help with my {} and my {}.",
        "What is {} plus {}?",
        "Where can I buy a {}?",
        "Summarize the {} for me.",
        "{} {} {}",
        "Why is the {} so {}?",
        "When was the {} built?",
        "Please write code for a {}.",
        "Does the {} like the {}?",
        "How much does the {} cost?",
        "Who is on the {}?",
        "Which {} is the best?",
    ),
    "zh": (
        "{}的首都是哪里？",
        "给我讲讲{}。",
        "写一首关于{}和{}的诗。",
        "怎么修我的{}？",
        "请解释一下{}。",
        "把{}翻译成英文。",
        "谁发明了{}？",
        "{}比{}好吗？",
        "我的{}需要帮助。",
        "{}加{}等于多少？",
        "哪里可以买到{}？",
        "总结一下{}。",
        "{}{}{}",
        "为什么{}这么{}？",
        "{}是什么时候建的？",
        "请写一个{}的程序。",
        "{}喜欢{}吗？",
        "{}多少钱？",
        "哪个{}最好？",
    ),
}


def thing_name(language: str, shape: str, colour: str, count: int = 1) -> str:
    """'a red circle', 'three red circles', '一个红色的圆形'."""
    if language == "zh":
        return f"{NUMBER_NAMES['zh'][count]}个{COLOUR_NAMES['zh'][colour]}的{SHAPE_NAMES['zh'][shape]}".replace("二个", "两个")
    if count == 1:
        return f"{'an' if colour == 'orange' else 'a'} {colour} {shape}"
    return f"{NUMBER_NAMES['en'][count]} {colour} {shape}s"


def sentence(text: str, language: str) -> str:
    """`text` with a capital letter and a full stop."""
    return text + "。" if language == "zh" else text[0].upper() + text[1:] + "."
