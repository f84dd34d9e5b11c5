"""As much of YAML as docs/openapi.yaml uses: maps and lists by indentation, flow maps and lists in one line,
double-quoted and plain scalars, block scalars after `|`. Anything else is an error, not a guess."""
import json
import re

_FLOW = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([\[\]{},])|(:(?=\s))|([^\[\]{},"\s](?:[^,\[\]{}:]|:(?!\s))*))')


def scalar(text):
    text = text.strip()
    if text.startswith('"'):
        return json.loads(text)
    if text in ('true', 'false', 'null'):
        return json.loads(text)
    if re.fullmatch(r'-?\d+(\.\d+)?', text):
        return json.loads(text)
    return text


class Flow:
    def __init__(self, text):
        self.tokens = []
        position = 0
        while text[position:].strip():
            found = _FLOW.match(text, position)
            if not found:
                raise ValueError(f'cannot read {text[position:]!r}')
            self.tokens.append(found.group(0).strip())
            position = found.end()

    def take(self):
        return self.tokens.pop(0)

    def value(self):
        token = self.take()
        if token == '{':
            return self.map()
        if token == '[':
            return self.list()
        return scalar(token)

    def list(self):
        found = []
        while self.tokens[0] != ']':
            found.append(self.value())
            if self.tokens[0] == ',':
                self.take()
        self.take()
        return found

    def map(self):
        found = {}
        while self.tokens[0] != '}':
            key = scalar(self.take())
            if self.take() != ':':
                raise ValueError(f'no colon behind {key!r}')
            found[key] = self.value()
            if self.tokens[0] == ',':
                self.take()
        self.take()
        return found


def inline(text):
    if text[0] not in '[{':
        return scalar(text)
    flow = Flow(text)
    found = flow.value()
    if flow.tokens:
        raise ValueError(f'more than one value: {text!r}')
    return found


class Block:
    def __init__(self, text):
        self.lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith('#')]

    def indent(self):
        return len(self.lines[0]) - len(self.lines[0].lstrip()) if self.lines else -1

    def value(self, indent):
        return self.list(indent) if self.lines[0].lstrip().startswith('- ') else self.map(indent)

    def list(self, indent):
        found = []
        while self.indent() == indent and self.lines[0].lstrip().startswith('- '):
            rest = self.lines[0].lstrip()[2:]
            if rest[0] not in '[{"' and re.match(r'[^\s:]+:(\s|$)', rest):
                self.lines[0] = ' ' * (indent + 2) + rest
                found.append(self.map(indent + 2))
            else:
                self.lines.pop(0)
                found.append(inline(rest))
        return found

    def map(self, indent):
        found = {}
        while self.indent() == indent:
            key, rest = re.fullmatch(r'\s*("(?:[^"\\]|\\.)*"|[^\s:]+):(?:\s+(.*))?', self.lines.pop(0)).groups()
            key = scalar(key) if key.startswith('"') else key
            if key in found:
                raise ValueError(f'{key!r} is there twice')
            if rest == '|':
                found[key] = ''
                while self.indent() > indent:
                    found[key] += self.lines.pop(0).strip() + '\n'
            elif rest:
                found[key] = inline(rest)
            else:
                found[key] = self.value(self.indent())
        return found


def load(path):
    with open(path, encoding='utf-8') as file:
        block = Block(file.read())
    found = block.value(0)
    if block.lines:
        raise ValueError(f'not understood: {block.lines[0]!r}')
    return found
