"""Blocks as HTML: what Slack's markup means, and that nothing anybody wrote becomes more than words."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.sandbox.slack import html, view_html
from bot.adapters.sandbox.slack.markup import mrkdwn


class Elements(HTMLParser):
    """Gathers the elements and attributes of a page, and the text that a reader sees."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Keep what an element is."""
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        """Keep what is read."""
        self.text += data


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("*bold* _it_ ~gone~ `x<y`", "<strong>bold</strong> <em>it</em> <s>gone</s> <code>x&lt;y</code>"),
        ("a * b * c, snake_case_name", "a * b * c, snake_case_name"),
        ("&lt;!channel&gt; &amp;amp;", "&lt;!channel&gt; &amp;amp;"),
        ("<!channel>", '<span class="call">@channel</span>'),
        ("<@U1> and <@U2>", '<span class="at">@Jonas &amp; co</span> and <span class="at">@U2</span>'),
        ("&gt; one\n&gt; two\nthree", "<blockquote>one<br>two</blockquote>three"),
        ("a\nb", "a<br>b"),
        (
            "<https://e.dk/?a=1&amp;b=2|here>",
            '<a href="https://e.dk/?a=1&amp;b=2" rel="noreferrer noopener" target="_blank">here</a>',
        ),
        ("<javascript:alert(1)|here>", "&lt;javascript:alert(1)|here&gt;"),
    ],
)
def test_markup_means_what_it_means_in_slack(text, page):
    """Bold, quotes, mentions and links become elements; what is no markup stays as it was written."""
    assert mrkdwn(text, {"U1": "Jonas & co"}) == page


@given(st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=80))
def test_plain_words_stay_words(text):
    """Whatever stands in a plain text is read as it was written, and makes no element."""
    page = Elements(html([{"type": "section", "text": {"type": "plain_text", "text": text}}]))
    assert set(page.tags) <= {"div", "br"}
    assert page.text == text.replace("\n", "")


@given(st.text(alphabet="<>&\"'*_~`|!@#/= aonjscript:", max_size=120))
def test_no_markup_makes_an_element_that_slack_does_not_have(text):
    """However somebody writes, there is no element and no attribute beyond those of Slack's own markup."""
    page = Elements(html([{"type": "section", "text": {"type": "mrkdwn", "text": text}}], {"a": '"><script>'}))
    assert set(page.tags) <= {"div", "br", "strong", "em", "s", "code", "pre", "blockquote", "a", "span"}
    assert set(page.attributes) <= {"class", "href", "rel", "target"}


def test_what_can_be_pressed_says_what_it_is():
    """A button, a menu's item and a field carry what an app is told of them."""
    elements = [
        {
            "type": "button",
            "action_id": "go",
            "value": '"k1"',
            "style": "primary",
            "text": {"type": "plain_text", "text": "Go"},
        },
        {
            "type": "overflow",
            "action_id": "more",
            "options": [{"text": {"type": "plain_text", "text": "Note"}, "value": "n"}],
        },
    ]
    page = html([{"type": "actions", "block_id": "b", "elements": elements}])
    assert 'class="primary" data-block="b" data-action="go" data-value="&quot;k1&quot;">Go<' in page
    assert 'data-block="b" data-action="more" data-option="n">Note<' in page


def test_a_modal_shows_what_is_filled_in():
    """Title, buttons, and the words that stand in its fields, escaped."""
    field = {
        "type": "input",
        "block_id": "text",
        "label": {"type": "plain_text", "text": "Words"},
        "element": {"type": "plain_text_input", "action_id": "text", "multiline": True},
    }
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Reply"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [field],
        "state": {"values": {"text": {"text": {"type": "plain_text_input", "value": "</textarea><b>"}}}},
    }
    page = view_html(view)
    assert "&lt;/textarea&gt;&lt;b&gt;</textarea>" in page
    assert "<header>Reply</header>" in page
    assert 'data-view="submit">Send<' in page
