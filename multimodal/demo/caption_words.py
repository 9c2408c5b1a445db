"""The words of captions and searches in both languages."""

from __future__ import annotations

COLOURS = {
    "en": {name: (name,) for name in ("red", "orange", "yellow", "green", "blue", "black", "white")}
    | {"purple": ("purple", "purple", "violet")},
    "zh": {
        "red": ("红色", "红色", "红"),
        "orange": ("橙色", "橙色", "橙", "橘色"),
        "yellow": ("黄色", "黄色", "黄"),
        "green": ("绿色", "绿色", "绿"),
        "blue": ("蓝色", "蓝色", "蓝"),
        "purple": ("紫色", "紫色", "紫"),
        "black": ("黑色", "黑色", "黑"),
        "white": ("白色", "白色", "白"),
    },
}
SHAPES = {
    "en": {
        "circle": ("circle", "circle", "circle", "circle", "disc", "dot"),
        "square": ("square", "square", "square", "square", "box"),
        "triangle": ("triangle",),
        "star": ("star",),
    },
    "zh": {
        "circle": ("圆形", "圆形", "圆", "圆圈"),
        "square": ("方形", "方形", "正方形", "方块"),
        "triangle": ("三角形", "三角形", "三角"),
        "star": ("星形", "星形", "星星", "五角星"),
    },
}
ALL_COLOURS = {language: tuple(sorted({word for forms in colours.values() for word in forms})) for language, colours in COLOURS.items()}
ALL_SHAPES = {language: tuple(sorted({word for forms in shapes.values() for word in forms})) for language, shapes in SHAPES.items()}
COUNTS = {
    "en": {1: ("one",), 2: ("two", "two", "two", "a pair of"), 3: ("three",), 4: ("four",)},
    "zh": {1: "一", 2: "两", 3: "三", 4: "四"},
}
MANY = {
    "en": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "twenty", "a hundred", "5", "6", "8"),
    "zh": ("一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十二", "二十", "一百", "5", "6", "8"),
}

# By the relation of a claim; the first wording is the plain one.
WAYS: dict[str, dict[str | None, tuple[str, ...]]] = {
    "en": {
        None: ("{}",),
        "left": ("{} on the left", "{} at the left", "on the left {}", "left: {}", "on the left there is {}", "{} on the left side"),
        "right": ("{} on the right", "{} at the right", "on the right {}", "right: {}", "on the right there is {}", "{} on the right side"),
        "top": ("{} at the top", "{} on top", "at the top {}", "top: {}", "at the top there is {}", "{} in the upper half"),
        "bottom": ("{} at the bottom", "at the bottom {}", "bottom: {}", "at the bottom there is {}", "{} in the lower half"),
        "left of": (
            *("{0} to the left of {1}", "{0} to the left of {1}", "{0} left of {1}", "{0} is to the left of {1}"),
            *("{1} to the right of {0}", "{1} to the right of {0}", "{1} right of {0}", "{1} is to the right of {0}"),
            *("{0} on the left, {1} on the right", "{0} on the left and {1} on the right", "on the left {0}, on the right {1}"),
            *("{1} on the right and {0} on the left", "left {0}, right {1}", "{0} with {1} on its right", "{1} with {0} on its left"),
        ),
        "above": (
            *("{0} above {1}", "{0} above {1}", "{0} over {1}", "{0} is above {1}", "{0} on top of {1}"),
            *("{1} below {0}", "{1} below {0}", "{1} under {0}", "{1} is below {0}", "{1} beneath {0}", "{1} underneath {0}"),
            *("{0} at the top, {1} at the bottom", "{0} at the top and {1} at the bottom", "at the top {0}, at the bottom {1}"),
            *("{1} at the bottom and {0} at the top", "top {0}, bottom {1}", "{0} with {1} below it", "{1} with {0} above it"),
        ),
        "beside": ("{} beside {}", "{} next to {}", "{} and {} side by side", "{} by the side of {}"),
        "and": ("{} and {}", "{} and {}", "{}, {}", "{} with {}", "{} together with {}"),
    },
    "zh": {
        None: ("{}",),
        "left": ("左边有{}", "左边是{}", "左边的{}", "{}在左边", "左侧有{}", "左：{}"),
        "right": ("右边有{}", "右边是{}", "右边的{}", "{}在右边", "右侧有{}", "右：{}"),
        "top": ("上面有{}", "上面是{}", "上面的{}", "{}在上面", "上方有{}", "上：{}"),
        "bottom": ("下面有{}", "下面是{}", "下面的{}", "{}在下面", "下方有{}", "下：{}"),
        "left of": (
            *("{0}在{1}的左边", "{0}在{1}的左边", "{0}在{1}左边", "{0}在{1}左侧", "{0}在{1}的左侧", "{1}的左边有{0}", "{1}左边是{0}"),
            *("{1}在{0}的右边", "{1}在{0}的右边", "{1}在{0}右边", "{1}在{0}右侧", "{1}在{0}的右侧", "{0}的右边有{1}", "{0}右边是{1}"),
            *("左边是{0}，右边是{1}", "左边{0}，右边{1}", "左{0}右{1}", "{0}在左，{1}在右", "右边是{1}，左边是{0}"),
        ),
        "above": (
            *("{0}在{1}的上面", "{0}在{1}的上面", "{0}在{1}上面", "{0}在{1}上方", "{0}在{1}的上方", "{1}的上面有{0}", "{1}上面是{0}"),
            *("{1}在{0}的下面", "{1}在{0}的下面", "{1}在{0}下面", "{1}在{0}下方", "{1}在{0}的下方", "{0}的下面有{1}", "{0}下面是{1}"),
            *("上面是{0}，下面是{1}", "上面{0}，下面{1}", "上{0}下{1}", "{0}在上，{1}在下", "下面是{1}，上面是{0}"),
        ),
        "beside": ("{}旁边有{}", "{}和{}并排", "{}与{}并排", "{}在{}旁边"),
        "and": ("{}和{}", "{}和{}", "{}与{}", "{}、{}", "{}跟{}"),
    },
}
TONES = {
    "en": {
        "light": ("{} on a light background", "{}, light background", "{} on light"),
        "dark": ("{} on a dark background", "{}, dark background", "{} on dark"),
    },
    "zh": {
        "light": ("浅色背景上的{}", "{}，浅色背景", "浅色背景，{}"),
        "dark": ("深色背景上的{}", "{}，深色背景", "深色背景，{}"),
    },
}
# What people put around what they look for.
REQUESTS = {
    "en": (
        *(
            "a picture of {}",
            "a picture with {}",
            "picture of {}",
            "an image of {}",
            "an image with {}",
            "image showing {}",
            "a photo of {}",
        ),
        *(
            "{} in the picture",
            "{} in a picture",
            "show me {}",
            "show {}",
            "find {}",
            "find me {}",
            "find a picture of {}",
            "search for {}",
        ),
        *("I am looking for {}", "looking for {}", "where is {}?", "is there {}?", "there is {}", "the picture shows {}", "pictures of {}"),
        *("a drawing of {}", "drawing with {}", "the one with {}", "please show me {}", "i want {}", "do I have {}?", "{} please"),
    ),
    "zh": (
        *("{}的图片", "{}的照片", "有{}的图片", "有{}的图", "一张{}的图片", "一张有{}的图", "图里有{}", "图片里有{}", "画面里有{}"),
        *(
            "找{}",
            "找一下{}",
            "查找{}",
            "搜索{}",
            "给我看{}",
            "我想找{}",
            "我要{}",
            "有没有{}",
            "有{}吗？",
            "哪张图有{}",
            "显示{}",
            "画着{}",
        ),
    ),
}
# Of the words above, but never put so in training.
HELD_OUT_REQUESTS = {
    "en": (
        "I am looking for a picture with {}",
        "please find the image showing {}",
        "show me pictures with {}",
        "is there a drawing of {}?",
    ),
    "zh": ("我想找有{}的图片", "给我看一张{}的图", "找一张有{}的照片", "有没有画着{}的图片"),
}

ODD_COLOURS = {
    "en": ("pink", "brown", "grey", "gray", "turquoise", "golden", "silver", "beige", "transparent", "striped", "rainbow", "shiny"),
    "zh": ("粉色", "粉红色", "棕色", "灰色", "青色", "金色", "银色", "褐色", "透明", "条纹", "彩虹色", "花"),
}
ODD_SHAPES = {
    "en": ("hexagon", "heart", "cross", "arrow", "rectangle", "pentagon", "oval", "spiral", "moon", "line", "ring", "cube", "letter"),
    "zh": ("六边形", "心形", "十字", "箭头", "长方形", "五边形", "椭圆", "螺旋", "月亮", "直线", "圆环", "立方体", "字母"),
}
ODD_THINGS = {
    "en": (
        "a {colour} {shape}",
        "{number} {colour} {shape}s",
        "{colour} {shape}",
        "something {colour} and a {shape}",
        "the {shape} is {colour}",
    ),
    "zh": ("一个{colour}的{shape}", "{number}个{colour}{shape}", "{colour}{shape}", "{colour}的{shape}", "{shape}是{colour}的"),
}
# Everyday words, a blank between them, and how they come in searches; the evaluation asks with others.
NOUNS = {
    "en": (
        "water house river table music winter doctor coffee bread window garden computer money school mountain island "
        "engine paper bottle brother sister morning kitchen letter market holiday forest animal horse monkey tiger "
        "elephant rain snow lawyer football train ticket flight hotel battery camera phone bridge tower car bus lake "
        "sea sky cloud sun tree flower grass leaf apple banana cake cup plate knife spoon chair bed door wall floor "
        "roof lamp clock book pen bag shoe hat shirt dress coat baby girl boy man woman friend teacher student farmer "
        "soldier king queen bird fish cow sheep pig duck chicken mouse bear lion wolf snake frog bee guitar piano drum "
        "song film screenshot receipt invoice menu map chart diagram poster logo passport street village city park zoo "
        "museum church office factory shop airport station ship boat truck tractor fire smoke stone sand hill face hand "
        "eye hair smile concert dinner lunch breakfast soup rice noodles meat cheese egg milk tea wine juice salad"
    ),
    "zh": (
        "水 房子 河流 桌子 音乐 冬天 医生 咖啡 面包 窗户 花园 电脑 学校 山 岛 发动机 纸 瓶子 兄弟 姐妹 早晨 厨房 信 "
        "市场 假期 森林 动物 马 猴子 老虎 大象 下雨 雪 律师 足球 火车 车票 航班 酒店 电池 相机 手机 桥 塔 汽车 公交车 "
        "湖 大海 天空 云 太阳 树 花 草 叶子 苹果 香蕉 杯子 盘子 刀 勺子 椅子 床 门 墙 地板 屋顶 灯 钟 书 笔 包 鞋 帽子 "
        "衬衫 裙子 大衣 婴儿 女孩 男孩 男人 女人 朋友 老师 学生 农民 士兵 国王 鸟 鱼 牛 羊 猪 鸭子 鸡 老鼠 熊 狮子 狼 "
        "蛇 青蛙 蜜蜂 吉他 钢琴 鼓 电影 截图 收据 发票 菜单 地图 图表 海报 护照 街道 村庄 城市 公园 动物园 博物馆 教堂 "
        "办公室 工厂 商店 机场 车站 船 卡车 火 烟 石头 沙子 脸 手 眼睛 头发 笑容 音乐会 晚饭 午饭 早餐 汤 米饭 面条 肉 "
        "奶酪 鸡蛋 牛奶 茶 酒 果汁 沙拉"
    ),
}
ODD_SCENES = {
    "en": (
        *(
            "a {} on the {}",
            "{} in the {}",
            "my {} at the {}",
            "a {} and a {}",
            "two {}s",
            "the {} of my {}",
            "a {} next to a {}",
            "{}",
            "a {}",
        ),
        *("{} with {}", "a {} under a {}", "old {}", "{} at night", "a small {} in front of a {}", "{} from last year", "our {} {}"),
        *("a {} to the left of a {}", "a {} above a {}", "three {}s", "some {}", "the {} is on the {}"),
    ),
    "zh": (
        *("{}上的{}", "{}里的{}", "我的{}在{}", "{}和{}", "两个{}", "我{}的{}", "{}旁边的{}", "{}", "一个{}", "有{}的{}", "{}下面的{}"),
        *("旧{}", "夜晚的{}", "{}前面的小{}", "去年的{}", "我们的{}{}", "{}在{}的左边", "{}在{}上面", "三个{}", "一些{}"),
    ),
}
# For the evaluation alone.
UNHEARD = {
    "en": (
        *(
            "a dog on the beach",
            "my cat",
            "sunset over the ocean",
            "birthday party",
            "a bicycle in front of a shed",
            "pizza",
            "wedding photos",
        ),
        *(
            "a helicopter",
            "grandma's birthday",
            "skyscraper",
            "a spider web",
            "kids playing with a ball",
            "traffic lights",
            "surfing",
            "penguin",
        ),
        *("fireworks", "handwritten notes", "a glass of lemonade", "christmas", "the eiffel tower", "tennis match", "vacation in italy"),
        *(
            "a maroon circle",
            "a red hexagram",
            "magenta",
            "seventeen stars",
            "a blue umbrella",
            "black dog",
            "a yellow taxi",
            "green frogspawn",
        ),
        *("two white swans", "a purple scarf", "an orange pumpkin", "white rabbit", "a parallelogram", "three cyan squares", "cylinder"),
        *("error message", "meeting slides", "a robot vacuum", "x-ray"),
    ),
    "zh": (
        *(
            "沙滩上的狗",
            "我的猫",
            "海上日落",
            "生日聚会",
            "棚子前的自行车",
            "披萨",
            "婚礼照片",
            "直升机",
            "奶奶的生日",
            "摩天大楼",
            "蜘蛛网",
        ),
        *("孩子们在玩球", "红绿灯", "冲浪", "企鹅", "烟花", "手写笔记", "一杯柠檬水", "圣诞节", "埃菲尔铁塔", "网球比赛", "意大利旅行"),
        *(
            "栗色的圆形",
            "红色的六芒星",
            "洋红",
            "十七颗星星",
            "蓝色的雨伞",
            "黑狗",
            "黄色的出租车",
            "绿色的蝌蚪",
            "两只白天鹅",
            "紫色的围巾",
        ),
        *("橙色的南瓜", "白兔", "平行四边形", "三个青绿色的方块", "圆柱体", "错误提示", "会议幻灯片", "扫地机器人", "X光片"),
    ),
}
