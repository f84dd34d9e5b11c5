"""A C file taken apart far enough for rules about layout: not a parser of C, but exact about comments,
strings, directives, functions and the statements in them."""
import bisect
import os
import re

TOKEN = re.compile(r'[A-Za-z_]\w*|\d[\w.]*|->|\+\+|--|[-+*/%&|^<>=!]=|&&|\|\||<<|>>|.', re.DOTALL)
NOT_FUNCTIONS = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'do', 'else'}


class Function:
    """A definition: its name, first and last line, parameters as text, and deepest nesting."""

    def __init__(self, name, parameters, first_line, last_line, nesting):
        self.name = name
        self.parameters = parameters
        self.first_line = first_line
        self.last_line = last_line
        self.nesting = nesting


class Source:
    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding='utf-8', errors='replace') as file:
            self.text = file.read()
        self.lines = self.text.splitlines()
        self.comments = []   # (line, text with its marks)
        self.directives = []  # (line, text, continuation lines joined)
        self._starts = [0] + [found.end() for found in re.finditer('\n', self.text)]
        self.plain = self._without_comments()
        self.code = self._without_directives(self.plain)
        self.functions = list(self._functions())

    @property
    def component(self):
        parts = self.path.split('/')
        return parts[1] if parts[0] == 'src' and len(parts) > 2 else parts[0]

    def line_of(self, offset):
        return bisect.bisect_right(self._starts, offset)

    def _without_comments(self):
        """The text with comments and the insides of strings as spaces, offsets unchanged."""
        mark = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

        def blank(found):
            text = found.group(0)
            if text[0] in '"\'':
                return text[0] + re.sub(r'[^\n]', ' ', text[1:-1]) + text[-1]
            self.comments.append((self.line_of(found.start()), text))
            return re.sub(r'[^\n]', ' ', text)

        return mark.sub(blank, self.text)

    def _without_directives(self, text):
        mark = re.compile(r'^[ \t]*#(?:[^\n\\]|\\\n|\\.)*', re.MULTILINE)

        def blank(found):
            line = self.line_of(found.start())
            original = self.text[found.start():found.end()]
            self.directives.append((line, original))
            return re.sub(r'[^\n]', ' ', found.group(0))

        return mark.sub(blank, text)

    def _functions(self):
        depth = 0
        offset = 0
        while offset < len(self.code):
            char = self.code[offset]
            if char == '{' and depth == 0:
                end = self._closing(offset)
                head = self._head_before(offset)
                if head:
                    name, parameters, start = head
                    nesting = Statements(self.code[offset:end + 1]).nesting()
                    yield Function(name, parameters, self.line_of(start), self.line_of(end), nesting)
                offset = end
            offset += 1

    def _closing(self, offset):
        depth = 0
        for index in range(offset, len(self.code)):
            if self.code[index] == '{':
                depth += 1
            elif self.code[index] == '}':
                depth -= 1
                if depth == 0:
                    return index
        return len(self.code) - 1

    def _head_before(self, offset):
        """The name and parameters before a brace at file level, or None where it is no function's."""
        end = offset - 1
        while end >= 0 and self.code[end].isspace():
            end -= 1
        if end < 0 or self.code[end] != ')':
            return None
        depth = 0
        for index in range(end, -1, -1):
            if self.code[index] == ')':
                depth += 1
            elif self.code[index] == '(':
                depth -= 1
                if depth == 0:
                    break
        name = re.search(r'([A-Za-z_]\w*)\s*$', self.code[:index])
        if not name or name.group(1) in NOT_FUNCTIONS:
            return None
        return name.group(1), self.code[index + 1:end], name.start(1)

    def prototypes(self):
        """(name, parameters, line) of each function declared at file level."""
        flat = self._outside_braces()
        for found in re.finditer(r'\b([a-z_]\w*)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*[^;{}()=,]*'
                                 r'(?:\([^()]*\)\s*)*;', flat):
            if found.group(1) not in NOT_FUNCTIONS | {'_Static_assert', 'static_assert', 'typedef'}:
                yield found.group(1), found.group(2), self.line_of(found.start())

    def _outside_braces(self):
        depth = 0
        result = []
        for char in self.code:
            if char == '{':
                depth += 1
            result.append(char if depth == 0 or char == '\n' else ' ')
            if char == '}':
                depth -= 1
        return ''.join(result)


def parameter_count(parameters):
    if parameters.strip() in ('', 'void'):
        return 0
    depth = 0
    count = 1
    for char in parameters:
        depth += char in '([{'
        depth -= char in ')]}'
        count += char == ',' and depth == 0
    return count


class Statements:
    """Walks the statements of a function's body to find how deeply control flow is nested."""

    def __init__(self, body):
        self.tokens = [token for token in TOKEN.findall(body) if not token.isspace()]
        self.at = 0

    def nesting(self):
        try:
            return self._statement(0)
        except IndexError:
            return 0

    def _peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ''

    def _skip_group(self):
        """Past a parenthesis or brace and its match."""
        depth = 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            depth += token in '([{'
            depth -= token in ')]}'
            self.at += 1
            if depth == 0:
                return

    def _block(self, depth):
        deepest = depth
        self.at += 1
        while self._peek() not in ('}', ''):
            deepest = max(deepest, self._statement(depth))
        self.at += 1
        return deepest

    def _statement(self, depth):
        token = self._peek()
        if token == '{':
            return self._block(depth)
        if token == 'if':
            return self._if(depth)
        if token in ('for', 'while', 'switch'):
            self.at += 1
            self._skip_group()
            return max(depth + 1, self._statement(depth + 1))
        if token == 'do':
            self.at += 1
            deepest = max(depth + 1, self._statement(depth + 1))
            self._expression()
            return deepest
        if token in ('case', 'default'):
            return self._label(depth)
        if self._is_loop_macro():
            self.at += 1
            self._skip_group()
            return max(depth + 1, self._statement(depth + 1))
        self._expression()
        return depth

    def _if(self, depth):
        self.at += 1
        self._skip_group()
        deepest = max(depth + 1, self._statement(depth + 1))
        if self._peek() == 'else':
            self.at += 1
            if self._peek() == 'if':
                return max(deepest, self._if(depth))
            deepest = max(deepest, self._statement(depth + 1))
        return deepest

    def _label(self, depth):
        while self._peek() not in (':', ''):
            self.at += 1
        self.at += 1
        if self._peek() == '}':
            return depth
        return self._statement(depth)

    def _is_loop_macro(self):
        """An upper-case macro call that a statement follows, such as LIST_EACH(node, head)."""
        if not re.fullmatch(r'[A-Z][A-Z0-9_]*', self._peek()) or self.tokens[self.at + 1] != '(':
            return False
        back = self.at
        self.at += 1
        self._skip_group()
        following = self._peek()
        self.at = back
        return following == '{' or bool(re.match(r'[A-Za-z_]', following))

    def _expression(self):
        while self._peek() not in (';', ''):
            if self._peek() in '([{':
                self._skip_group()
            elif self._peek() == '}':
                return
            else:
                self.at += 1
        self.at += 1
