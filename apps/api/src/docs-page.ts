import path from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { Router } from 'express';
import { contentSecurityPolicy } from 'helmet';

const initializer = `window.onload = () => {
  SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true });
};
`;

/** `/docs`: Swagger UI over `/openapi.json`, all of it served from here. */
export const createDocsPage = (): Router => {
  const folder = path.dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')));
  const router = Router();
  router.use(
    contentSecurityPolicy({
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        // Swagger UI sets styles of elements and draws icons from data.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        frameAncestors: ["'none'"],
      },
    }),
  );
  router.get('/swagger-initializer.js', (_request, response) => {
    response.type('text/javascript').send(initializer);
  });
  router.use(express.static(folder));
  return router;
};
