/** The playground: write with a model, see a text as it reads it, fill blanks. */
import { address, route } from "../base/route.ts";
import { Fill } from "./fill.tsx";
import { Read } from "./read.tsx";
import { Write } from "./write.tsx";

const PARTS = [
  { page: "write", title: "Write", Part: Write },
  { page: "read", title: "Read a text", Part: Read },
  { page: "fill", title: "Fill blanks", Part: Fill },
] as const;

export function PlayPage() {
  const { Part, page } = PARTS.find((part) => part.page === route.value.page) ?? PARTS[0];
  return (
    <>
      <nav class="tabs" aria-label="What to do with a model">
        {PARTS.map((part) => (
          <a
            class="place"
            key={part.page}
            href={address(part.page, { model: route.value.query.get("model") ?? undefined })}
            aria-current={part.page === page ? "page" : undefined}
          >
            {part.title}
          </a>
        ))}
      </nav>
      <Part />
    </>
  );
}
