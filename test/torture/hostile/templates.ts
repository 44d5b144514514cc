/** Chat templates that use what the language has. */
export const templates = [
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}{{ message.content | trim }}{% if not loop.last %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
  "{%- set ns = namespace(found=false, n=0) %}{%- for message in messages[::-1] %}{%- if message.role == 'user' and not ns.found %}{%- set ns.found = true %}{%- endif %}{%- set ns.n = ns.n + 1 %}{%- endfor %}{{ ns.n }}{{ messages | tojson(indent=2) }}",
  "{% macro say(m, end='') %}{{ m.role | upper }}: {{ m['content'].replace('a', 'A').split(' ') | join('_') }}{{ end }}{% endmacro %}{% for m in messages if m.role != 'system' %}{{ say(m, end='\\n') }}{% else %}none{% endfor %}",
  "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content | indent(2) }}{% endif %}{% endfor %}",
  "{% set x = [1, 2.5, 'a', {'k': none}] %}{% for i in range(0, 10, 2) %}{{ i // 3 ~ x[1] }}{{ x | length }}{{ x[:2] }}{% endfor %}{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}",
  "{% set ns = namespace(x='ab') %}{% for i in range(12) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
];
